//! The operations, with their retries.

use alloc::{
    format,
    string::{String, ToString},
};
use core::time::Duration;

use holdfast_redis_rules::{
    acquire::{self, CLOCK_LOST, CLOCK_WAS_SET, Wanted, expiry_is_unknown},
    address::Address,
    clock::{self, Reading, surely},
    expiry::Expiry,
    extend::{self, Extend},
    fence, inspect,
    probes::ProbeHistory,
    refusal::{RetryAdvice, ends_connection, has_no_answer, may_be_answered_later, with_advice},
    release::{self, Form, Release, give_back},
    reply::{Nonsense, Reply},
    settings::Settings,
    term::{GrantState, Term},
    tries::{Next, Tries},
};
use holdfast_timing::{late::longest_hold, milliseconds, pauses::Pauses};

use crate::{
    bindings::{Acquired, Extended, Failure, Grant, Holding, Released, UnknownOutcome},
    connection::{Batch, Broken, Connection},
    dial::{DialError, dial},
    time::{Deadline, now, pause, random, wall_clock, written},
};

/// The cause for a lock that expired before its caller could learn of it, in the words of the rules. Their crate would
/// add 600 bytes to the component, so only a test uses it.
const RAN_OUT: &str = "the lock ran out before the reply came";

/// A server, and the connection to it if one is open.
pub(crate) struct Redis {
    address: Address,
    settings: Settings,
    connection: Option<Connection>,
    /// What earlier connections have shown about the questions.
    probes: ProbeHistory,
}

/// A lock that was taken.
struct GrantedLock {
    /// For how long the lock is surely held, counted from now.
    left: Duration,
    /// The fencing token, if the caller asked for one.
    token: Option<u64>,
}

/// Why a command has no outcome.
enum NoOutcome {
    /// The command did nothing, or its effect is over.
    NotDone(String),
    /// The server may have run the command, or may still run it. If it takes a lock, that lock ends within this time
    /// from now.
    Unknown(String, Option<Duration>),
}

/// How a try ended.
enum Tried<T> {
    /// The try has an outcome.
    Outcome(T),
    /// The try did nothing and has no outcome: the command may be tried again.
    Failed { cause: String, next: Next },
}

impl Redis {
    pub(crate) fn new(address: Address, settings: Settings) -> Self {
        Self { address, settings, connection: None, probes: ProbeHistory::default() }
    }

    /// Takes a lock, and waits for it if it is held.
    pub(crate) fn acquire(
        &mut self,
        lock: Wanted<'_>,
        wait: Duration,
    ) -> Result<Acquired, Failure> {
        let deadline = Deadline::after(Some(wait));
        let mut pauses = Pauses::default();
        loop {
            let acquired = self.acquire_once(lock)?;
            let left = deadline.left().unwrap_or(wait);
            if acquired != Acquired::Held || left.is_zero() {
                return Ok(acquired);
            }
            pause(pauses.next(random()).min(left));
        }
    }

    fn acquire_once(&mut self, lock: Wanted<'_>) -> Result<Acquired, Failure> {
        let mut tries = self.tries();
        match self.run(|redis, connection| redis.try_acquire(connection, &mut tries, lock)) {
            Ok(Some(GrantedLock { left, token })) => Ok(Acquired::Granted(Grant {
                fencing_token: token,
                valid_for: Some(milliseconds(surely(left))),
            })),
            Ok(None) => Ok(Acquired::Held),
            Err(error) => Err(self.failure(error)),
        }
    }

    /// Makes a lock last longer if the owner holds it.
    pub(crate) fn extend(&mut self, extend: Extend<'_>) -> Result<Extended, Failure> {
        let mut tries = self.tries();
        match self.run(|redis, connection| redis.try_extend(connection, &mut tries, extend)) {
            Ok(extend::Extended::Extended(left)) => Ok(Extended::Extended(milliseconds(left))),
            Ok(extend::Extended::Missing) => Ok(Extended::Gone),
            Ok(extend::Extended::HeldByOther) => Ok(Extended::HeldByOther),
            Err(error) => Err(self.failure(error)),
        }
    }

    /// The holder of a lock.
    pub(crate) fn inspect(&mut self, key: &str) -> Result<Option<Holding>, Failure> {
        let token_key = fence::token_key(key);
        let mut tries = self.tries();
        match self
            .run(|redis, connection| redis.try_inspect(connection, &mut tries, key, &token_key))
        {
            Ok(holding) => Ok(holding.map(|inspect::Holding { owner, left, fencing_token }| {
                Holding { owner, time_left: left, fencing_token }
            })),
            Err(error) => Err(self.failure(error)),
        }
    }

    /// Releases a lock if the owner holds it.
    pub(crate) fn release(&mut self, key: &str, owner: &str) -> Result<Released, Failure> {
        let release = Release { key, owner };
        let mut tries = self.tries();
        match self.run(|redis, connection| redis.try_release(connection, &mut tries, release)) {
            Ok(release::Released::Released) => Ok(Released::Released),
            Ok(release::Released::Missing) => Ok(Released::Missing),
            Ok(release::Released::HeldByOther) => Ok(Released::HeldByOther),
            Err(error) => Err(self.failure(error)),
        }
    }

    /// Tries until an attempt has an outcome. Keeps the connection if it is in order after a try. All tries together
    /// wait for connections for `dialTimeout` at most.
    fn run<T>(
        &mut self,
        mut attempt: impl FnMut(&Self, &mut Connection) -> Result<Tried<T>, NoOutcome>,
    ) -> Result<T, NoOutcome> {
        let mut patience = self.settings.dial_timeout;
        loop {
            let mut connection = self.connection(&mut patience)?;
            let ended = attempt(self, &mut connection);
            self.connection = Some(connection).filter(Connection::is_in_order);
            let (cause, next) = match ended? {
                Tried::Outcome(outcome) => return Ok(outcome),
                Tried::Failed { cause, next } => (cause, next),
            };
            match next {
                Next::Now => {}
                Next::After(wait) => pause(wait),
                Next::GiveUp => return Err(NoOutcome::NotDone(cause)),
            }
        }
    }

    fn try_acquire(
        &self,
        connection: &mut Connection,
        tries: &mut Tries,
        lock: Wanted<'_>,
    ) -> Result<Tried<Option<GrantedLock>>, NoOutcome> {
        if let Err(broken) = self.renew_clock(connection) {
            return Ok(unsent(broken.cause(), tries));
        }
        match connection.clock {
            Some(reading) => {
                let term = Term::new(reading, now(), lock.ttl);
                self.acquire_until(connection, tries, lock, term)
            }
            None => self.acquire_for(connection, tries, lock),
        }
    }

    /// Takes a lock that expires by the server's clock. Reads that clock after the lock, in the same batch.
    fn acquire_until(
        &self,
        connection: &mut Connection,
        tries: &mut Tries,
        lock: Wanted<'_>,
        term: Term,
    ) -> Result<Tried<Option<GrantedLock>>, NoOutcome> {
        let (asked, reply, time) = match self.take_and_read_clock(connection, lock, term) {
            Ok(answers) => answers,
            Err(Broken::Unsent(cause)) => return Ok(unsent(cause, tries)),
            Err(Broken::Unanswered(cause)) => return Err(unknown(cause, term)),
        };
        let after = note_clock(connection, &time, asked);
        let reply = acquired(connection, lock, reply).map_err(|cause| unknown(cause, term))?;
        let token = match reply {
            Ok(acquire::Acquired::Held) => return Ok(Tried::Outcome(None)),
            Ok(acquire::Acquired::Granted(token)) => token,
            Err(line) if expiry_is_unknown(&line) => {
                connection.clock = None;
                return Ok(Tried::Failed { cause: line, next: Next::Now });
            }
            Err(line) => return Ok(refused(connection, line, Form::Full, tries)),
        };
        let Some(after) = after else {
            return Err(self.taken_without_clock(connection, lock, term, time));
        };
        let state = term.check_grant(&after, now());
        if let GrantState::Held { left, .. } = state {
            let left = left.saturating_sub(now().saturating_sub(asked));
            if !left.is_zero() {
                return Ok(Tried::Outcome(Some(GrantedLock { left, token })));
            }
        }
        let is_over = self.gave_back(connection, lock, term);
        match state {
            GrantState::ClockWasSet { lasts } if is_over || lasts.is_zero() => {
                Ok(unsent(CLOCK_WAS_SET, tries))
            }
            GrantState::ClockWasSet { lasts } => {
                Err(NoOutcome::Unknown(CLOCK_WAS_SET.to_string(), Some(lasts)))
            }
            GrantState::Held { .. } if !term.lasts(now()).is_zero() => {
                Err(unknown(RAN_OUT.to_string(), term))
            }
            GrantState::Held { .. } | GrantState::RanOut => {
                Err(NoOutcome::NotDone(RAN_OUT.to_string()))
            }
        }
    }

    /// Sends both commands. Returns the time at which they were sent, and the answers. If the first answer is missing,
    /// nothing is known about the lock.
    fn take_and_read_clock(
        &self,
        connection: &mut Connection,
        lock: Wanted<'_>,
        term: Term,
    ) -> Result<(Duration, Reply, Result<Reply, Broken>), Broken> {
        let mut batch = Batch::default();
        lock.words(Expiry::At(term.expiry()), |words| batch.push(words));
        batch.push(&clock::ASK);
        let asked = now();
        connection.send(&batch, &self.settings)?;
        let reply = connection.wait(&self.settings)?;
        Ok((asked, reply, connection.wait(&self.settings)))
    }

    /// The outcome of a grant after which the server did not report its clock.
    fn taken_without_clock(
        &self,
        connection: &mut Connection,
        lock: Wanted<'_>,
        term: Term,
        time: Result<Reply, Broken>,
    ) -> NoOutcome {
        match time {
            Ok(Reply::Error(_)) if self.gave_back(connection, lock, term) => {
                NoOutcome::NotDone(CLOCK_LOST.to_string())
            }
            Ok(Reply::Error(_)) => unknown(CLOCK_LOST.to_string(), term),
            Ok(_) => unknown(Nonsense.to_string(), term),
            Err(broken) => unknown(broken.cause(), term),
        }
    }

    /// Gives back the grant of this term. Returns whether the grant is surely over: the server may refuse the script.
    fn gave_back(&self, connection: &mut Connection, lock: Wanted<'_>, term: Term) -> bool {
        let reply = give_back(lock.key, lock.owner, term.expiry(), |words| {
            connection.call(words, &self.settings)
        });
        match reply {
            // If the script leaves the key alone, the key is not of this grant.
            Ok(Reply::Integer(0 | 1)) => true,
            Ok(Reply::Error(_)) | Err(_) => false,
            Ok(_) => {
                connection.distrust();
                false
            }
        }
    }

    /// Takes a lock from a server that does not report its clock.
    fn acquire_for(
        &self,
        connection: &mut Connection,
        tries: &mut Tries,
        lock: Wanted<'_>,
    ) -> Result<Tried<Option<GrantedLock>>, NoOutcome> {
        let ttl = lock.ttl;
        let sent = now();
        let since = || now().saturating_sub(sent);
        let unknown = |cause| NoOutcome::Unknown(cause, Some(longest_hold(ttl, since())));
        let reply = lock.words(Expiry::After(milliseconds(ttl)), |words| {
            connection.call(words, &self.settings)
        });
        let reply = match reply {
            Ok(reply) => reply,
            Err(Broken::Unsent(cause)) => return Ok(unsent(cause, tries)),
            Err(Broken::Unanswered(cause)) => return Err(unknown(cause)),
        };
        match acquired(connection, lock, reply).map_err(unknown)? {
            Ok(acquire::Acquired::Granted(token)) => match ttl.saturating_sub(since()) {
                Duration::ZERO => Err(NoOutcome::Unknown(RAN_OUT.to_string(), Some(ttl))),
                left => Ok(Tried::Outcome(Some(GrantedLock { left, token }))),
            },
            Ok(acquire::Acquired::Held) => Ok(Tried::Outcome(None)),
            Err(line) => Ok(refused(connection, line, Form::Full, tries)),
        }
    }

    fn try_release(
        &self,
        connection: &mut Connection,
        tries: &mut Tries,
        release: Release<'_>,
    ) -> Result<Tried<release::Released>, NoOutcome> {
        let script = connection.script.clone();
        let (reply, form) = match (&script, tries.form()) {
            (Some(digest), Form::Short) => {
                (connection.call(&release.short(digest), &self.settings), Form::Short)
            }
            _ => (connection.call(&release.full(), &self.settings), Form::Full),
        };
        match reply {
            Ok(Reply::Error(line)) if has_no_answer(&line) => Err(NoOutcome::Unknown(line, None)),
            Ok(Reply::Error(line)) => Ok(refused(connection, line, form, tries)),
            Ok(reply) => match release::Released::read(&reply) {
                Ok(released) => Ok(Tried::Outcome(released)),
                Err(nonsense) => {
                    connection.distrust();
                    Err(NoOutcome::Unknown(nonsense.to_string(), None))
                }
            },
            Err(Broken::Unsent(cause)) => Ok(unsent(cause, tries)),
            Err(Broken::Unanswered(cause)) => Err(NoOutcome::Unknown(cause, None)),
        }
    }

    fn try_extend(
        &self,
        connection: &mut Connection,
        tries: &mut Tries,
        extend: Extend<'_>,
    ) -> Result<Tried<extend::Extended>, NoOutcome> {
        if let Err(broken) = self.renew_clock(connection) {
            return Ok(unsent(broken.cause(), tries));
        }
        let sent = now();
        let ttl = Duration::from_millis(extend.ttl);
        let end = connection.clock.map(|reading| Term::new(reading, sent, ttl).expiry());
        let unknown = |cause| NoOutcome::Unknown(cause, None);
        match extend::words(extend, end, |words| connection.call(words, &self.settings)) {
            Ok(Reply::Error(line)) if has_no_answer(&line) => Err(unknown(line)),
            Ok(Reply::Error(line)) => Ok(refused(connection, line, Form::Full, tries)),
            Ok(reply) => match extend::Extended::read(&reply) {
                Ok(extend::Extended::Extended(left)) => {
                    let left = surely(left.saturating_sub(now().saturating_sub(sent)));
                    match milliseconds(left) {
                        0 => Err(unknown(RAN_OUT.to_string())),
                        _ => Ok(Tried::Outcome(extend::Extended::Extended(left))),
                    }
                }
                Ok(extended) => Ok(Tried::Outcome(extended)),
                Err(nonsense) => {
                    connection.distrust();
                    Err(unknown(nonsense.to_string()))
                }
            },
            Err(Broken::Unsent(cause)) => Ok(unsent(cause, tries)),
            Err(Broken::Unanswered(cause)) => Err(unknown(cause)),
        }
    }

    fn try_inspect(
        &self,
        connection: &mut Connection,
        tries: &mut Tries,
        key: &str,
        token_key: &str,
    ) -> Result<Tried<Option<inspect::Holding>>, NoOutcome> {
        let mut reply = connection.call(&inspect::words(key, token_key), &self.settings);
        // The user may be permitted only the keys of locks.
        if matches!(&reply, Ok(Reply::Error(line)) if line.starts_with("NOPERM")) {
            reply = connection.call(&inspect::words_without_token(key), &self.settings);
        }
        match reply {
            Ok(Reply::Error(line)) => Ok(refused(connection, line, Form::Full, tries)),
            Ok(reply) => match inspect::read(reply) {
                Ok(holding) => Ok(Tried::Outcome(holding)),
                Err(nonsense) => {
                    connection.distrust();
                    Err(NoOutcome::NotDone(nonsense.to_string()))
                }
            },
            // An inspect changes nothing, so it may be sent again.
            Err(broken) => Ok(unsent(broken.cause(), tries)),
        }
    }

    /// Reads the server's clock again if the latest reading is too old.
    fn renew_clock(&self, connection: &mut Connection) -> Result<(), Broken> {
        let asked = now();
        if connection.clock.is_some_and(|reading| reading.is_old(asked)) {
            connection.clock = match connection.call(&clock::ASK, &self.settings)? {
                Reply::Error(line) if may_be_answered_later(&line) => {
                    return Err(Broken::Unsent(line));
                }
                // The user has lost the permission.
                Reply::Error(_) => None,
                reply => {
                    let time = clock::read(&reply).map_err(|nonsense| {
                        connection.distrust();
                        Broken::Unanswered(nonsense.to_string())
                    })?;
                    Some(Reading::new(time, asked, now()))
                }
            };
        }
        Ok(())
    }

    fn tries(&self) -> Tries {
        Tries::new(self.settings.retries, self.settings.backoff)
    }

    /// The connection of earlier calls if it is good, else a new one, with `redisMaxRetries` more attempts after the
    /// first. Spends the call's patience; `None` is no limit.
    fn connection(&mut self, patience: &mut Option<Duration>) -> Result<Connection, NoOutcome> {
        if let Some(connection) = self.connection.take()
            && connection.is_good(&self.settings)
        {
            return Ok(connection);
        }
        let limit = written(patience.unwrap_or_default());
        let deadline = Deadline::after(*patience);
        let mut tries = self.tries();
        loop {
            let error = match dial(&self.address, &self.settings, &mut self.probes, deadline) {
                Ok(connection) => {
                    *patience = deadline.left();
                    return Ok(connection);
                }
                Err(Some(error)) => error,
                Err(None) => {
                    DialError { cause: format!("no connection within {limit}"), may_pass: true }
                }
            };
            match tries.failed(random()) {
                Next::After(wait)
                    if error.may_pass && deadline.left().is_none_or(|left| wait < left) =>
                {
                    pause(wait);
                }
                _ => return Err(NoOutcome::NotDone(error.cause)),
            }
        }
    }

    fn failure(&self, error: NoOutcome) -> Failure {
        let about = |cause| format!("redis {}: {cause}", self.address);
        match error {
            NoOutcome::NotDone(cause) => Failure::NotDone(about(cause)),
            NoOutcome::Unknown(cause, lasts) => Failure::Unknown(UnknownOutcome {
                cause: about(cause),
                held_until: lasts.map(|lasts| held_until(wall_clock(), lasts)),
            }),
        }
    }
}

/// Notes the reading of the server's clock that came with an acquire; `None` if there is no reading.
fn note_clock(
    connection: &mut Connection,
    time: &Result<Reply, Broken>,
    asked: Duration,
) -> Option<Reading> {
    let after = match time {
        Ok(Reply::Error(line)) if may_be_answered_later(line) => return None,
        // The user has lost the permission. Later locks do without the clock.
        Ok(Reply::Error(_)) | Err(_) => None,
        Ok(time) => match clock::read(time) {
            Ok(time) => Some(Reading::new(time, asked, now())),
            Err(Nonsense) => {
                connection.distrust();
                None
            }
        },
    };
    connection.clock =
        after.map(|after| connection.clock.map_or(after, |clock| clock.or_newer(after)));
    after
}

/// The outcome if the server may have taken a lock of this term.
fn unknown(cause: String, term: Term) -> NoOutcome {
    NoOutcome::Unknown(cause, Some(term.lasts(now())))
}

/// Reads the reply to an acquire. The inner error is the server's refusal. The outer error is the cause for an unknown
/// outcome.
fn acquired(
    connection: &mut Connection,
    lock: Wanted<'_>,
    reply: Reply,
) -> Result<Result<acquire::Acquired, String>, String> {
    match reply {
        Reply::Error(line) if has_no_answer(&line) => Err(line),
        Reply::Error(line) => Ok(Err(line)),
        reply => match acquire::Acquired::read(&reply, lock.token_key.is_some()) {
            Ok(acquired) => Ok(Ok(acquired)),
            Err(nonsense) => {
                connection.distrust();
                Err(nonsense.to_string())
            }
        },
    }
}

/// Decides what to do after an error line of the server.
fn refused<T>(
    connection: &mut Connection,
    line: String,
    form: Form,
    tries: &mut Tries,
) -> Tried<T> {
    let advice = RetryAdvice::after(&line, form);
    if advice.ends_digests() {
        connection.script = None;
    }
    if ends_connection(&line) {
        connection.distrust();
    }
    Tried::Failed { next: tries.refused(advice, random()), cause: with_advice(line) }
}

/// The failure of a try that did nothing.
fn unsent<T>(cause: impl Into<String>, tries: &mut Tries) -> Tried<T> {
    Tried::Failed { cause: cause.into(), next: tries.failed(random()) }
}

/// The time that is this long after `now`, in milliseconds since 1970.
fn held_until(now: u64, lasts: Duration) -> u64 {
    let rest = lasts.subsec_nanos().div_ceil(1_000_000);
    now.saturating_add(lasts.as_secs().saturating_mul(1_000)).saturating_add(rest.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_that_ran_out_is_told_in_the_words_of_the_rules() {
        assert_eq!(RAN_OUT, holdfast_rules::message::RAN_OUT);
    }

    #[test]
    fn a_bound_is_rounded_up() {
        assert_eq!(held_until(1_000, Duration::from_millis(500)), 1_500);
        assert_eq!(held_until(1_000, Duration::from_micros(1)), 1_001);
        assert_eq!(held_until(1_000, Duration::MAX), u64::MAX);
    }
}

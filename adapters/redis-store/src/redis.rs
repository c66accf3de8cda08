//! Acquire and release, with their retries.

use alloc::{
    format,
    string::{String, ToString},
};
use core::time::Duration;

use holdfast_redis_rules::{
    acquire::{self, CLOCK_WAS_SET, Expiry, RAN_OUT, expiry_is_unknown},
    clock::{self, Reading, Worth},
    late::longest_hold,
    refusal::{Again, ends_connection, has_no_answer},
    release::{self, Form, Release, give_back},
    reply::Reply,
    settings::Settings,
    tries::{Next, Tries},
};

use crate::{
    bindings::{Acquired, Failure, Grant, Released, UnknownOutcome},
    connection::{Broken, Connection},
    dial::{DialError, dial},
    time::{Deadline, now, pause, random, wall_clock, written},
};

/// A server, and the connection to it if there is one.
pub(crate) struct Redis {
    settings: Settings,
    connection: Option<Connection>,
    /// Whether the server closes connections on what it does not know.
    terse: bool,
}

/// Why a command has no outcome.
enum NoOutcome {
    /// It did nothing, or what it did is over.
    NotDone(String),
    /// The server may have run it, or may still run it. A lock that it takes ends within this time from now.
    Unknown(String, Option<Duration>),
}

/// How a try ended that has no outcome and may be followed by another.
struct Failed {
    cause: String,
    next: Next,
}

impl Redis {
    pub(crate) fn new(settings: Settings) -> Self {
        Self { settings, connection: None, terse: false }
    }

    /// Takes a lock unless it is held; `ttl` is in milliseconds.
    pub(crate) fn acquire(
        &mut self,
        key: &str,
        owner: &str,
        ttl: u64,
    ) -> Result<Acquired, Failure> {
        let mut tries = self.tries();
        match self
            .run(|redis, connection| redis.try_acquire(connection, &mut tries, key, owner, ttl))
        {
            Ok(acquire::Acquired::Granted) => Ok(Acquired::Granted(Grant { fencing_token: None })),
            Ok(acquire::Acquired::Held) => Ok(Acquired::Held),
            Err(error) => Err(self.failure(error)),
        }
    }

    /// Releases a lock if it is the owner's.
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

    /// Tries until there is an outcome. The connection is kept if the last try left it in `Some`.
    fn run<T>(
        &mut self,
        mut attempt: impl FnMut(
            &mut Self,
            &mut Option<Connection>,
        ) -> Result<Result<T, Failed>, NoOutcome>,
    ) -> Result<T, NoOutcome> {
        loop {
            let mut connection = Some(self.connection()?);
            let ended = attempt(self, &mut connection);
            self.connection = connection;
            let Failed { cause, next } = match ended? {
                Ok(outcome) => return Ok(outcome),
                Err(failed) => failed,
            };
            match next {
                Next::Now => {}
                Next::After(wait) => pause(wait),
                Next::GiveUp => return Err(NoOutcome::NotDone(cause)),
            }
        }
    }

    /// Sends an acquire, and reads the server's clock after it if the lock expires by that clock.
    fn try_acquire(
        &mut self,
        place: &mut Option<Connection>,
        tries: &mut Tries,
        key: &str,
        owner: &str,
        ttl: u64,
    ) -> Result<Result<acquire::Acquired, Failed>, NoOutcome> {
        // Put back below if it can take another command.
        let Some(mut connection) = place.take() else { return Ok(Err(unsent("", tries))) };
        if connection.clock.is_some_and(|reading| reading.is_old(now()))
            && let Err(Broken::Unsent(cause) | Broken::Unanswered(cause)) =
                self.read_clock(&mut connection)
        {
            return Ok(Err(unsent(cause, tries)));
        }
        let (sent, reading) = (now(), connection.clock);
        let expiry = match reading {
            Some(reading) => Expiry::At(reading.expiry(sent, ttl)),
            None => Expiry::After(ttl),
        };
        let time = Duration::from_millis(ttl);
        let lasts = || match (expiry, reading) {
            (Expiry::At(expiry), Some(reading)) => reading.lasts(now(), expiry),
            _ => longest_hold(time, now().saturating_sub(sent)),
        };
        let unknown = |cause: String| NoOutcome::Unknown(cause, Some(lasts()));

        let sending = acquire::words(key, owner, expiry, |words| match expiry {
            Expiry::At(_) => connection.send_words(&[words, &clock::ASK], &self.settings),
            Expiry::After(_) => connection.send_words(&[words], &self.settings),
        });
        let first = sending.and_then(|()| connection.wait(&self.settings));
        let asked = sent;
        let second = match (&first, expiry) {
            (Ok(_), Expiry::At(_)) => Some(connection.wait(&self.settings)),
            _ => None,
        };
        let outcome = match first {
            Ok(Reply::Error(line)) if expiry_is_unknown(&line) && reading.is_some() => {
                connection.clock = None;
                *place = Some(connection);
                return Ok(Err(Failed { cause: line, next: Next::Now }));
            }
            Ok(Reply::Error(line)) if has_no_answer(&line) => {
                *place = Some(connection);
                return Err(unknown(line));
            }
            Ok(Reply::Error(line)) => {
                return Ok(Err(refused(connection, place, line, Form::Full, tries)));
            }
            Ok(reply) => {
                acquire::Acquired::read(&reply).map_err(|error| unknown(error.to_string()))?
            }
            Err(Broken::Unsent(cause)) => return Ok(Err(unsent(cause, tries))),
            Err(Broken::Unanswered(cause)) => return Err(unknown(cause)),
        };
        let after = match second {
            None => None,
            Some(Ok(reply)) => {
                // The user may have lost the permission. Later locks do without the clock.
                connection.clock =
                    clock::read(&reply).ok().map(|time| Reading::new(time, asked, now()));
                connection.clock
            }
            Some(Err(Broken::Unsent(cause) | Broken::Unanswered(cause))) => {
                return Err(unknown(cause));
            }
        };
        if outcome == acquire::Acquired::Held {
            *place = Some(connection);
            return Ok(Ok(outcome));
        }
        let worth = match (expiry, reading, after) {
            (Expiry::At(expiry), Some(reading), Some(after)) => reading.worth(sent, expiry, &after),
            (Expiry::At(_), ..) => return Err(unknown(CLOCK_WAS_SET.to_string())),
            (Expiry::After(_), ..) => Worth::Held(time),
        };
        let in_time =
            matches!(worth, Worth::Held(left) if now().saturating_sub(sent) < left.min(time));
        if let (false, Expiry::At(expiry)) = (in_time, expiry) {
            let given_back = give_back(key, owner, expiry, |words| {
                connection.call(words, &self.settings).map(drop)
            });
            if given_back.is_err() {
                return Err(unknown(RAN_OUT.to_string()));
            }
        }
        *place = Some(connection);
        match worth {
            _ if in_time => Ok(Ok(outcome)),
            Worth::ClockWasSet => Ok(Err(unsent(CLOCK_WAS_SET, tries))),
            Worth::Held(_) if !lasts().is_zero() => Err(unknown(RAN_OUT.to_string())),
            Worth::Held(_) | Worth::RanOut => Err(NoOutcome::NotDone(RAN_OUT.to_string())),
        }
    }

    fn try_release(
        &mut self,
        place: &mut Option<Connection>,
        tries: &mut Tries,
        release: Release<'_>,
    ) -> Result<Result<release::Released, Failed>, NoOutcome> {
        let Some(mut connection) = place.take() else { return Ok(Err(unsent("", tries))) };
        let script = connection.script.clone();
        let (reply, form) = match (&script, tries.form()) {
            (Some(digest), Form::Short) => {
                (connection.call(&release.short(digest), &self.settings), Form::Short)
            }
            _ => (connection.call(&release.full(), &self.settings), Form::Full),
        };
        match reply {
            Ok(Reply::Error(line)) if has_no_answer(&line) => {
                *place = Some(connection);
                Err(NoOutcome::Unknown(line, None))
            }
            Ok(Reply::Error(line)) => Ok(Err(refused(connection, place, line, form, tries))),
            Ok(reply) => {
                let released = release::Released::read(&reply)
                    .map_err(|error| NoOutcome::Unknown(error.to_string(), None))?;
                *place = Some(connection);
                Ok(Ok(released))
            }
            Err(Broken::Unsent(cause)) => Ok(Err(unsent(cause, tries))),
            Err(Broken::Unanswered(cause)) => Err(NoOutcome::Unknown(cause, None)),
        }
    }

    /// Reads the server's clock, for a connection that was idle.
    fn read_clock(&self, connection: &mut Connection) -> Result<(), Broken> {
        let asked = now();
        let reply = connection.call(&clock::ASK, &self.settings)?;
        connection.clock = clock::read(&reply).ok().map(|time| Reading::new(time, asked, now()));
        Ok(())
    }

    fn tries(&self) -> Tries {
        Tries::new(self.settings.retries, self.settings.backoff)
    }

    /// The connection of earlier calls if it is good, else a new one. Takes `poolTimeout` at most, and
    /// `redisMaxRetries` more attempts after the first.
    fn connection(&mut self) -> Result<Connection, NoOutcome> {
        if let Some(connection) = self.connection.take()
            && connection.is_good(&self.settings)
        {
            return Ok(connection);
        }
        let patience = Deadline::after(self.settings.pool_timeout);
        let mut tries = Tries::new(self.settings.retries, self.settings.backoff);
        loop {
            let dialing = Deadline::after(self.settings.dial_timeout);
            let (deadline, limit) = match (patience.left(), dialing.left()) {
                (Some(short), Some(long)) if short < long => (patience, self.settings.pool_timeout),
                (Some(_), None) => (patience, self.settings.pool_timeout),
                _ => (dialing, self.settings.dial_timeout),
            };
            let error = match dial(&self.settings, &mut self.terse, deadline) {
                Ok(connection) => return Ok(connection),
                Err(Some(error)) => error,
                Err(None) => {
                    let limit = written(limit.unwrap_or_default());
                    DialError { cause: format!("no connection within {limit}"), may_pass: true }
                }
            };
            match tries.failed(random()) {
                Next::After(wait)
                    if error.may_pass && patience.left().is_none_or(|left| wait < left) =>
                {
                    pause(wait);
                }
                _ => return Err(NoOutcome::NotDone(error.cause)),
            }
        }
    }

    fn failure(&self, error: NoOutcome) -> Failure {
        let about = |cause| format!("redis {}: {cause}", self.settings.address);
        match error {
            NoOutcome::NotDone(cause) => Failure::NotDone(about(cause)),
            NoOutcome::Unknown(cause, lasts) => Failure::Unknown(UnknownOutcome {
                cause: about(cause),
                held_until: lasts.map(|lasts| held_until(wall_clock(), lasts)),
            }),
        }
    }
}

/// Decides what to do after an error line of the server, and puts the connection back if it is of use.
fn refused(
    mut connection: Connection,
    place: &mut Option<Connection>,
    line: String,
    form: Form,
    tries: &mut Tries,
) -> Failed {
    let again = Again::after(&line, form);
    if again == Again::InFull && !line.starts_with("NOSCRIPT") {
        connection.script = None;
    }
    if !ends_connection(&line) {
        *place = Some(connection);
    }
    Failed { next: tries.refused(again, random()), cause: line }
}

/// A try that did nothing.
fn unsent(cause: impl Into<String>, tries: &mut Tries) -> Failed {
    Failed { cause: cause.into(), next: tries.failed(random()) }
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
    fn a_bound_is_rounded_up() {
        assert_eq!(held_until(1_000, Duration::from_millis(500)), 1_500);
        assert_eq!(held_until(1_000, Duration::from_micros(1)), 1_001);
        assert_eq!(held_until(1_000, Duration::MAX), u64::MAX);
    }
}

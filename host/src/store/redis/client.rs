//! Runs a command: sends it, and tries again if that is safe.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use holdfast_redis_rules::{
    acquire::{CLOCK_LOST, CLOCK_WAS_SET, Wanted},
    clock::surely,
    disk,
    extend::{Extend, Extended},
    fitness, force_release,
    inspect::{self, Holding},
    list::{self, Part},
    raise,
    refusal::{
        RetryAdvice, code, ends_connection, forbids_key, has_no_answer, may_be_answered_later,
        with_advice,
    },
    release::{Form, Release, Released},
    reply::{Nonsense, Reply},
    tries::{Next, Tries},
};
use holdfast_rules::message::RAN_OUT;
use tokio::time::timeout;

use super::{
    answer::{NoAnswer, ServerAnswer, ServerGrant},
    connect_budget::{ConnectBudget, Leg},
    connection::{AskedFor, Connection},
    connections::Connections,
    dial::{Dialer, Note},
    endpoint::Endpoint,
    membership::Membership,
    outcome::{GrantedLock, NoOutcome},
    queue,
    settings::RedisSettings,
    stream::Streams,
    watch::{NotWatched, Watches},
};
use crate::store::Watched;

/// How long [`Client::close`] waits for unfinished commands.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);

/// When a grant expires that no server can have made: at the beginning of 1970.
const EXPIRY_OF_NONE: u64 = 0;

/// A client of one server.
pub(super) struct Client {
    address: String,
    settings: Arc<RedisSettings>,
    connections: Arc<Connections>,
    watches: Arc<Watches>,
}

/// How a try ended.
enum Tried<T> {
    /// The try has an outcome.
    Outcome(T),
    /// The try did nothing and has no outcome: the command may be tried again.
    Failed { cause: String, next: Next },
}

/// Tries a command until a try has an outcome, each time on an open connection. A macro for the same reason as
/// [`run`](super::nodes::run).
macro_rules! try_until_outcome {
    ($client:expr, $leg:expr, |$connection:ident, $tries:ident| $attempt:expr) => {{
        let mut tries = $client.tries();
        loop {
            let taken = $client.connections.take($leg).await;
            let (place, _permit) = taken.map_err(NoOutcome::NotDone)?;
            let ($connection, $tries) = (place.connection(), &mut tries);
            match $attempt? {
                Tried::Outcome(outcome) => break Ok(outcome),
                Tried::Failed { cause, next } => go_on(cause, next).await?,
            }
        }
    }};
}

impl Drop for Client {
    fn drop(&mut self) {
        self.connections.close();
    }
}

impl Client {
    /// Makes a client of the server at an endpoint, without a connection.
    pub(super) fn new(
        name: &str,
        settings: Arc<RedisSettings>,
        endpoint: Endpoint,
        streams: Arc<Streams>,
        membership: Membership,
    ) -> Self {
        let address = endpoint.to_string();
        let dialer = Dialer::new(settings.clone(), endpoint, streams);
        let connections = Connections::new(name, settings.clone(), dialer, membership);
        follow_the_master(&connections);
        Self { address, watches: Watches::new(connections.clone()), connections, settings }
    }

    /// Where the client finds the server.
    pub(super) fn endpoint(&self) -> &Endpoint {
        self.connections.dialer().endpoint()
    }

    /// The server's description of itself. Fails with the cause.
    pub(super) async fn info(&self) -> Result<String, String> {
        let budget = self.budget();
        let info = |reply: &Reply| matches!(reply, Reply::Text(_));
        match self.run_repeatable(&fitness::ASK, info, Leg::only(&budget), Ok).await {
            Ok(Reply::Text(info)) => Ok(info),
            Ok(Reply::Error(cause)) => Err(cause),
            Ok(_) => Err(Nonsense::TEXT.to_owned()),
            Err(NoOutcome::NotDone(cause) | NoOutcome::Over(cause)) => Err(cause),
            Err(NoOutcome::Elsewhere(_, cause) | NoOutcome::Unknown(cause, _)) => Err(cause),
        }
    }

    /// When the server writes its append-only file; `None` if it does not report this.
    pub(super) async fn disk_policy(&self) -> Option<String> {
        let budget = self.budget();
        let texts = |reply: &Reply| matches!(reply, Reply::Texts(_));
        let reply = self.run_repeatable(&disk::ASK, texts, Leg::only(&budget), Ok).await.ok()?;
        disk::policy(&reply).map(str::to_owned)
    }

    /// The host of a server that stays where it is.
    pub(super) fn host(&self) -> &str {
        match self.endpoint() {
            Endpoint::Fixed(address) | Endpoint::Named { address, .. } => &address.host,
            Endpoint::Master(_) => "",
        }
    }

    /// The server's `host:port`, or where the client finds it.
    pub(super) fn address(&self) -> &str {
        &self.address
    }

    /// How long a command waits for connections.
    pub(super) fn budget(&self) -> ConnectBudget {
        ConnectBudget::new(self.settings.common.dial_timeout)
    }

    /// A readable reason why a command would have to wait now.
    pub(super) fn waits_for(&self) -> String {
        let failure = || self.connections.last_failure();
        match self.connections.is_open() {
            true => "no answer yet".to_owned(),
            false => failure().unwrap_or_else(|| {
                let hint = self.connections.dialer().streams().hint();
                format!("{}{hint}", self.endpoint().waits_for())
            }),
        }
    }

    /// The server's address, and the server's description of itself.
    pub(super) fn describe(&self) -> String {
        match self.connections.about() {
            Some(about) => format!("{}, {about}", self.address),
            None => self.address.clone(),
        }
    }

    pub(super) fn connections(&self) -> &Connections {
        &self.connections
    }

    /// Takes the lock; `None` if it is held. The command is sent again only if the server did nothing.
    pub(super) async fn acquire(
        &self,
        wanted: Wanted<'_>,
        leg: Leg<'_>,
    ) -> Result<Option<GrantedLock>, NoOutcome> {
        self.take(wanted, leg, Connection::refusal).await
    }

    /// Takes a lock that nobody else uses, even from a server that takes no other locks for a while.
    pub(super) async fn try_out(
        &self,
        wanted: Wanted<'_>,
        leg: Leg<'_>,
    ) -> Result<Option<GrantedLock>, NoOutcome> {
        self.take(wanted, leg, |_| None).await
    }

    /// Notes it for the operator if the server refuses the command that gives back a grant. The owner holds the lock by
    /// another grant than that of the command, so it keeps the lock.
    pub(super) async fn try_to_give_back(
        &self,
        key: &str,
        owner: &str,
        leg: Leg<'_>,
    ) -> Result<(), NoOutcome> {
        let taken = self.connections.take(leg).await;
        let (place, _permit) = taken.map_err(NoOutcome::NotDone)?;
        let connection = place.connection();
        if !connection.has_clock() {
            // Nothing is given back then, which another note says.
            return Ok(());
        }
        let lock = AskedFor { key, owner, asking: leg.asking };
        let Ok(ServerAnswer::Refused(line)) = connection.give_back_now(lock, EXPIRY_OF_NONE).await
        else {
            return Ok(());
        };
        match NoOutcome::nothing_done(line) {
            NoOutcome::NotDone(line) if !may_be_answered_later(&line) => {
                self.connections.note(Note::NoGiveBack(line));
                Ok(())
            }
            no_outcome => Err(no_outcome),
        }
    }

    async fn take(
        &self,
        wanted: Wanted<'_>,
        leg: Leg<'_>,
        refusal: impl Fn(&Connection) -> Option<String>,
    ) -> Result<Option<GrantedLock>, NoOutcome> {
        try_until_outcome!(self, leg, |connection, tries| match refusal(connection) {
            Some(refusal) => Err(NoOutcome::NotDone(refusal)),
            None => self.try_acquire(connection, tries, wanted, leg).await,
        })
    }

    /// Releases the lock if the owner holds it, by a script in this form, or in full if the server refuses the form.
    /// The command is sent again only if the server did nothing.
    pub(super) async fn release(
        &self,
        key: &str,
        owner: &str,
        form: Form,
        leg: Leg<'_>,
    ) -> Result<Released, NoOutcome> {
        try_until_outcome!(self, leg, |connection, tries| {
            let form = if form == Form::Full { form } else { connection.form(tries.form()) };
            match connection.release(Release { key, owner }, form, leg.asking).await {
                Ok(ServerAnswer::Released(released)) => Ok(Tried::Outcome(released)),
                Ok(ServerAnswer::Refused(line)) => Ok(self.refused(connection, tries, line, form)),
                Ok(_) => Err(NoOutcome::Unknown(Nonsense::TEXT.to_owned(), None)),
                Err(no_answer) => unsent(no_answer, tries),
            }
        })
    }

    /// Makes the lock last longer if the owner holds it. Returns how long the lock is surely held, at least a
    /// millisecond. The command is sent again only if the server did nothing.
    pub(super) async fn extend(
        &self,
        extend: Extend<'_>,
        leg: Leg<'_>,
    ) -> Result<Extended, NoOutcome> {
        try_until_outcome!(self, leg, |connection, tries| {
            self.try_extend(connection, tries, extend, leg).await
        })
    }

    async fn try_extend(
        &self,
        connection: &Connection,
        tries: &mut Tries,
        extend: Extend<'_>,
        leg: Leg<'_>,
    ) -> Result<Tried<Extended>, NoOutcome> {
        let at = match self.renew_clock(connection).await {
            Ok(at) => at,
            Err(cause) => return Ok(nothing_done(cause, tries)),
        };
        match connection.extend(extend, at, leg.asking).await {
            Ok(ServerAnswer::Extended(Extended::Extended(left))) => {
                let left = surely(left.saturating_sub(at.elapsed()));
                if left.as_millis() == 0 {
                    return Err(NoOutcome::Unknown(RAN_OUT.to_owned(), None));
                }
                Ok(Tried::Outcome(Extended::Extended(left)))
            }
            Ok(ServerAnswer::Extended(extended)) => Ok(Tried::Outcome(extended)),
            Ok(ServerAnswer::TooFewReplicas { cause, .. }) => Err(NoOutcome::Unknown(cause, None)),
            Ok(ServerAnswer::Refused(line)) => {
                Ok(self.refused(connection, tries, line, Form::Full))
            }
            Ok(_) => Err(NoOutcome::Unknown(Nonsense::TEXT.to_owned(), None)),
            Err(no_answer) => unsent(no_answer, tries),
        }
    }

    /// Makes later fencing tokens of the resource larger than `at_least`. A second command changes nothing.
    pub(super) async fn raise(
        &self,
        token_key: &str,
        at_least: u64,
        leg: Leg<'_>,
    ) -> Result<(), NoOutcome> {
        let words = raise::words(token_key, at_least, |words| {
            words.iter().map(|&word| word.to_owned()).collect::<Vec<_>>()
        });
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let number = |reply: &Reply| matches!(reply, Reply::Integer(_));
        self.run_repeatable(&words, number, leg, |reply| raise::read(&reply, at_least)).await
    }

    /// The holder of the lock; `None` if the lock is free.
    pub(super) async fn inspect(
        &self,
        key: &str,
        token_key: &str,
        leg: Leg<'_>,
    ) -> Result<Option<Holding>, NoOutcome> {
        let texts = |reply: &Reply| matches!(reply, Reply::Nil | Reply::Texts(_));
        let words = inspect::words(key, token_key);
        match self.run_repeatable(&words, texts, leg, inspect::read).await {
            // The lock and its fencing token are moving to another node of the cluster, one after the other, or the
            // user may use only the keys of locks.
            Err(NoOutcome::NotDone(cause)) if code(&cause) == "TRYAGAIN" || forbids_key(&cause) => {
                let words = inspect::words_without_token(key);
                self.run_repeatable(&words, texts, leg, inspect::read).await
            }
            outcome => outcome,
        }
    }

    /// The locks of one part of the keys.
    pub(super) async fn list(
        &self,
        pattern: &str,
        cursor: Option<&str>,
    ) -> Result<Part, NoOutcome> {
        let budget = self.budget();
        let texts = |reply: &Reply| matches!(reply, Reply::Texts(_));
        let (words, leg) = (list::words(pattern, cursor), Leg::only(&budget));
        self.run_repeatable(&words, texts, leg, list::read).await
    }

    /// Runs a command that may be sent again, whatever its outcome. `shape` is the shape of its replies.
    async fn run_repeatable<T>(
        &self,
        words: &[&str],
        shape: queue::Shape,
        leg: Leg<'_>,
        read: impl Fn(Reply) -> Result<T, Nonsense>,
    ) -> Result<T, NoOutcome> {
        try_until_outcome!(self, leg, |connection, tries| match connection
            .send(words, shape, leg.asking)
            .await
        {
            Ok(ServerAnswer::Refused(line)) => {
                Ok(self.refused(connection, tries, line, Form::Full))
            }
            Ok(answer) => match read(answer.into_reply()) {
                Ok(outcome) => Ok(Tried::Outcome(outcome)),
                Err(nonsense) =>
                    Err(NoOutcome::NotDone(self.end_after_nonsense(connection, nonsense))),
            },
            Err(no_answer) => Ok(nothing_done(no_answer.cause(), tries)),
        })
    }

    /// Releases the lock of any owner, and returns the owner. The command is sent again only if the server did nothing.
    pub(super) async fn force_release(
        &self,
        key: &str,
        leg: Leg<'_>,
    ) -> Result<Option<String>, NoOutcome> {
        try_until_outcome!(self, leg, |connection, tries| {
            let text = |reply: &Reply| matches!(reply, Reply::Nil | Reply::Text(_));
            match connection.send(&force_release::words(key), text, leg.asking).await {
                Ok(ServerAnswer::Refused(line)) if has_no_answer(&line) => {
                    Err(NoOutcome::Unknown(line, None))
                }
                Ok(ServerAnswer::Refused(line)) => {
                    Ok(self.refused(connection, tries, line, Form::Full))
                }
                Ok(answer) => match force_release::read(answer.into_reply()) {
                    Ok(owner) => Ok(Tried::Outcome(owner)),
                    Err(nonsense) => {
                        Err(NoOutcome::Unknown(self.end_after_nonsense(connection, nonsense), None))
                    }
                },
                Err(no_answer) => unsent(no_answer, tries),
            }
        })
    }

    /// Retires a connection after a reply that makes no sense. Returns the cause.
    fn end_after_nonsense(&self, connection: &Connection, nonsense: Nonsense) -> String {
        self.connections.retire(connection.id());
        connection.end_after_nonsense();
        nonsense.to_string()
    }

    /// Watches a key. `asking` is whether another node of the cluster sent the question here.
    pub(super) async fn watch(&self, key: &str, asking: bool) -> Result<Watched, NotWatched> {
        self.watches.watch(key, asking).await
    }

    /// Ends all commands, and refuses further ones: another server has taken the place of this one.
    pub(super) fn leave_server(&self) {
        self.connections.leave_server();
    }

    /// Refuses further commands, waits five seconds at most for those under way, and closes the
    /// connections.
    pub(super) async fn close(&self) {
        self.connections.close();
        if timeout(CLOSE_TIMEOUT, self.connections.wait()).await.is_err() {
            let redis = &self.address;
            tracing::warn!(redis, "closed before all commands were answered");
            self.connections.abort();
        }
    }

    async fn try_acquire(
        &self,
        connection: &Connection,
        tries: &mut Tries,
        wanted: Wanted<'_>,
        leg: Leg<'_>,
    ) -> Result<Tried<Option<GrantedLock>>, NoOutcome> {
        let lock = AskedFor { key: wanted.key, owner: wanted.owner, asking: leg.asking };
        let at = match self.renew_clock(connection).await {
            Ok(at) => at,
            Err(cause) => return Ok(nothing_done(cause, tries)),
        };
        match connection.acquire(wanted, at, leg.asking).await {
            Ok(ServerAnswer::Held) => Ok(Tried::Outcome(None)),
            Ok(ServerAnswer::Granted(granted)) => {
                // The time is checked here for the last time before the caller gets the answer.
                let left = granted.left.saturating_sub(at.elapsed());
                if !left.is_zero() {
                    let taken = GrantedLock { left: surely(left), token: granted.token };
                    return Ok(Tried::Outcome(Some(taken)));
                }
                if let Some(expiry) = granted.expiry {
                    connection.give_back(lock, expiry);
                }
                Err(ran_out(granted))
            }
            Ok(ServerAnswer::RanOut) => Err(NoOutcome::Over(RAN_OUT.to_owned())),
            Ok(ServerAnswer::ClockWasSet { expiry, ends }) => {
                let cause = CLOCK_WAS_SET.to_owned();
                let undone = undo(connection, lock, cause, Some(expiry), ends);
                match Box::pin(undone).await {
                    // The clock was read again with the grant, so the next try need not wait.
                    NoOutcome::Over(cause) => Ok(nothing_done_at_once(cause, tries)),
                    unknown => Err(unknown),
                }
            }
            Ok(ServerAnswer::ClockLost { line, expiry, ends }) => {
                if !may_be_answered_later(&line) {
                    self.connections.do_without_clock(connection, line);
                }
                let cause = CLOCK_LOST.to_owned();
                let undone = undo(connection, lock, cause, Some(expiry), ends);
                Err(Box::pin(undone).await)
            }
            Ok(ServerAnswer::TooFewReplicas { cause, expiry, ends }) => {
                let undone = undo(connection, lock, cause, expiry, ends);
                Err(Box::pin(undone).await)
            }
            Ok(ServerAnswer::UnknownExpiry(line)) => {
                self.connections.do_without_clock(connection, line.clone());
                Ok(Tried::Failed { cause: line, next: Next::Now })
            }
            Ok(ServerAnswer::Refused(line)) => {
                Ok(self.refused(connection, tries, line, Form::Full))
            }
            Ok(_) => Err(NoOutcome::Unknown(Nonsense::TEXT.to_owned(), None)),
            Err(no_answer) => unsent(no_answer, tries),
        }
    }

    /// Reads the server's clock again if the latest reading is too old. Returns the time after that. Fails with the
    /// cause if a later try may succeed.
    async fn renew_clock(&self, connection: &Connection) -> Result<Instant, String> {
        let renewed = connection.renew_clock(Instant::now()).await;
        match renewed.map_err(|no_answer| no_answer.cause().to_string())? {
            Ok(at) => Ok(at),
            Err(refusal) if may_be_answered_later(&refusal) => Err(refusal),
            Err(refusal) => {
                self.connections.do_without_clock(connection, refusal);
                Ok(Instant::now())
            }
        }
    }

    fn tries(&self) -> Tries {
        Tries::new(self.settings.common.retries, self.settings.common.backoff)
    }

    /// Decides what to do after an error line of the server.
    fn refused<T>(
        &self,
        connection: &Connection,
        tries: &mut Tries,
        line: String,
        form: Form,
    ) -> Tried<T> {
        let advice = RetryAdvice::after(&line, form);
        if ends_connection(&line) {
            self.connections.retire(connection.id());
        }
        if advice.ends_digests() {
            connection.refuse_script();
        }
        Tried::Failed { next: tries.refused(advice, fastrand::u64(..)), cause: with_advice(line) }
    }
}

/// Leaves a master that was replaced, as soon as a sentinel reports the new one.
fn follow_the_master(connections: &Arc<Connections>) {
    let Endpoint::Master(sentinels) = connections.dialer().endpoint() else { return };
    let (sentinels, pool) = (sentinels.clone(), Arc::downgrade(connections));
    connections.spawn(async move {
        let tell = || {
            if let Some(pool) = pool.upgrade() {
                pool.leave_others();
            }
        };
        let refused = |reason| {
            if let Some(pool) = pool.upgrade() {
                pool.note(Note::NoReports(reason));
            }
        };
        sentinels.follow(tell, refused).await;
    });
}

/// Waits for the next try; fails if no try follows.
async fn go_on(cause: String, next: Next) -> Result<(), NoOutcome> {
    match next {
        Next::Now => Ok(()),
        Next::After(wait) => {
            Box::pin(tokio::time::sleep(wait)).await;
            Ok(())
        }
        Next::GiveUp => Err(NoOutcome::nothing_done(cause)),
    }
}

/// A try that did nothing, for a reason that may pass.
fn nothing_done<T>(cause: impl ToString, tries: &mut Tries) -> Tried<T> {
    Tried::Failed { cause: cause.to_string(), next: tries.failed(fastrand::u64(..)) }
}

/// The same as [`nothing_done`], but the reason no longer holds.
fn nothing_done_at_once<T>(cause: String, tries: &mut Tries) -> Tried<T> {
    let next = match tries.failed(fastrand::u64(..)) {
        Next::After(_) => Next::Now,
        next => next,
    };
    Tried::Failed { cause, next }
}

/// A command that was not sent may be tried again.
fn unsent<T>(no_answer: NoAnswer, tries: &mut Tries) -> Result<Tried<T>, NoOutcome> {
    match no_answer {
        NoAnswer::Unsent(cause) => Ok(nothing_done(cause, tries)),
        NoAnswer::Unknown { cause, lasts } => Err(NoOutcome::Unknown(cause.to_string(), lasts)),
    }
}

/// Gives back a grant that its caller cannot have. Returns the failure for the caller.
async fn undo(
    connection: &Connection,
    lock: AskedFor<'_>,
    cause: String,
    expiry: Option<u64>,
    ends: Option<Instant>,
) -> NoOutcome {
    let given_back = match expiry {
        Some(expiry) => connection.give_back_now(lock, expiry).await,
        None => return left_to_expire(cause, ends),
    };
    match given_back.map(ServerAnswer::into_reply) {
        Ok(Reply::Integer(_)) => NoOutcome::Over(cause),
        _ => left_to_expire(cause, ends),
    }
}

fn left_to_expire(cause: String, ends: Option<Instant>) -> NoOutcome {
    match ends.map(|ends| ends.saturating_duration_since(Instant::now())) {
        Some(Duration::ZERO) => NoOutcome::Over(cause),
        left => NoOutcome::Unknown(cause, left),
    }
}

/// The failure for a grant whose time is over. By the server's clock it may last a little longer.
fn ran_out(granted: ServerGrant) -> NoOutcome {
    match granted.ends.saturating_duration_since(Instant::now()) {
        Duration::ZERO => NoOutcome::Over(RAN_OUT.to_owned()),
        left => NoOutcome::Unknown(RAN_OUT.to_owned(), Some(left)),
    }
}

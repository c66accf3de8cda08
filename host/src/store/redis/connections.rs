//! The pool of connections.
//!
//! Redis runs one command at a time however many connections are open, and a connection carries many commands at once.
//! So a command takes the first connection that is not busy, and another is opened only when all are busy. This module
//! knows neither commands nor what their failures mean.

use std::{
    sync::{
        Arc, Mutex, OnceLock, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard, Weak,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use holdfast_redis_rules::address::Address;
use tokio::{
    runtime::Handle,
    sync::{Semaphore, SemaphorePermit, watch},
};
use tokio_util::sync::CancellationToken;

use super::{
    answer::Cause,
    connect_budget::Leg,
    connection::{BUSY_COMMANDS, Connection},
    dial::{Dialed, Dialer, Note},
    dial_error::DialError,
    driver::Event,
    membership::{Identity, Membership},
    metrics::{Closed, RedisMetrics},
    settings::RedisSettings,
    time_limit::within,
};

/// The shortest time from an attempt to the next one for which no caller waits. `redisMaxRetryInterval` removes the waits
/// of callers, whose attempts are counted. These attempts are not counted. The pause also follows an attempt that
/// succeeded: a server may close each connection as soon as it is open.
const REFILL: Duration = Duration::from_millis(100);

/// A connection that ends at this age, or earlier, was of no use.
const SHORT_LIFE: Duration = REFILL;

/// After how many short-lived connections in a row the operator is told. One may be lost by chance.
const SHORT_LIVES_TO_REPORT: u32 = 3;

/// The pool.
pub(super) struct Connections {
    settings: Arc<RedisSettings>,
    name: String,
    dialer: Dialer,
    membership: Membership,
    open: RwLock<Vec<Arc<Connection>>>,
    /// Connections that get no more commands, but may have some under way.
    removed: Mutex<Vec<Weak<Connection>>>,
    /// One permit for each caller that may use the pool at once.
    permits: Semaphore,
    /// Set while a connection is being opened: only one is opened at a time.
    opening: AtomicBool,
    /// Set while the pool has too few connections and has not opened another yet.
    refilling: AtomicBool,
    /// The result of the latest attempt to open a connection.
    attempts: watch::Sender<Result<(), DialError>>,
    history: Mutex<History>,
    /// How many connections in a row have ended [soon](SHORT_LIFE) after they were opened.
    short_lived: AtomicU32,
    /// The notes about the server that were logged.
    noted: Mutex<Vec<Note>>,
    /// The server's first description of itself.
    about: OnceLock<String>,
    /// The address of the master, if it may move and was reported.
    master: watch::Sender<Option<Address>>,
    runtime: Handle,
    closing: CancellationToken,
    metrics: RedisMetrics,
    me: Weak<Self>,
}

/// The attempts to open a connection.
#[derive(Clone, Copy, Default)]
struct History {
    /// How many attempts failed in a row.
    failures: u32,
    /// When the latest attempt ended.
    last: Option<tokio::time::Instant>,
}

impl History {
    /// How long ago the latest attempt ended.
    fn since_last(self) -> Duration {
        self.last.map_or(Duration::MAX, |last| last.elapsed())
    }
}

/// A command's place on a connection, until its reply has come. It keeps the connection open.
pub(super) struct InFlight {
    connection: Arc<Connection>,
}

/// A caller's share of the pool, until the caller stops waiting. A command whose caller has left has no share, so it
/// takes no room from other commands.
pub(super) type Permit<'a> = SemaphorePermit<'a>;

impl InFlight {
    fn on(connection: Arc<Connection>) -> Self {
        connection.begin();
        Self { connection }
    }

    pub(super) fn connection(&self) -> &Arc<Connection> {
        &self.connection
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.connection.end();
    }
}

impl Connections {
    /// Makes a pool without a connection. `name` is the store's, for logs and metrics.
    pub(super) fn new(
        name: &str,
        settings: Arc<RedisSettings>,
        dialer: Dialer,
        membership: Membership,
    ) -> Arc<Self> {
        let runtime = Handle::current();
        let server = dialer.endpoint().to_string();
        let pool = Arc::new_cyclic(|me| Self {
            permits: Semaphore::new(settings.pool.size * BUSY_COMMANDS),
            settings,
            name: name.to_owned(),
            dialer,
            membership,
            open: RwLock::default(),
            removed: Mutex::default(),
            opening: AtomicBool::new(false),
            refilling: AtomicBool::new(false),
            attempts: watch::Sender::new(Ok(())),
            history: Mutex::default(),
            short_lived: AtomicU32::new(0),
            noted: Mutex::default(),
            about: OnceLock::new(),
            master: watch::Sender::new(None),
            runtime,
            closing: CancellationToken::new(),
            metrics: RedisMetrics::new(name, &server),
            me: me.clone(),
        });
        if let Some(every) = pool.settings.pool.idle_check {
            pool.runtime.spawn(sweep(pool.me.clone(), every, pool.closing.clone()));
        }
        pool
    }

    /// Takes a place for one command. If all places are taken, waits for one, at most `poolTimeout`. If no connection
    /// is open, waits for `redisMaxRetries` more attempts to open one, as long as the command has [budget](Leg::wait).
    ///
    /// Fails with the cause. Nothing has been sent when this fails or its future is dropped.
    pub(super) async fn take(&self, leg: Leg<'_>) -> Result<(InFlight, Permit<'_>), String> {
        if let Ok(permit) = self.permits.try_acquire()
            && let Some(connection) = self.pick()
        {
            return Ok((InFlight::on(connection), permit));
        }
        // Boxed, because the future that waits is larger than what nearly all commands need.
        Box::pin(self.take_later(leg)).await
    }

    async fn take_later(&self, leg: Leg<'_>) -> Result<(InFlight, Permit<'_>), String> {
        let permit = within(self.settings.common.pool_timeout, self.permits.acquire())
            .await
            .map_err(|limit| format!("no connection was free within {limit:?}"))?
            .map_err(|_| Cause::Closed.to_string())?;
        let opened =
            leg.wait(self.open()).await.map_err(|limit| match &*self.attempts.borrow() {
                Err(error) => error.cause.clone(),
                Ok(()) => format!("no connection within {limit:?}"),
            })?;
        Ok((opened.map_err(|error| error.cause)?, permit))
    }

    /// Takes a place, and opens a connection if none is open, with `redisMaxRetries` more attempts. Takes as long as
    /// these attempts take.
    pub(super) async fn open(&self) -> Result<InFlight, DialError> {
        let mut retries = self.settings.common.retries;
        loop {
            // Subscribed before looking, so that no attempt that ends in between is missed.
            let mut attempts = self.attempts.subscribe();
            if let Some(connection) = self.pick() {
                return Ok(InFlight::on(connection));
            }
            self.open_another();
            let ended = self.closing.run_until_cancelled(attempts.changed()).await;
            if ended.is_none() {
                return Err(DialError::closed());
            }
            let outcome = attempts.borrow().clone();
            match outcome {
                Err(error) if retries == 0 || !error.may_pass => return Err(error),
                _ => retries = retries.saturating_sub(1),
            }
        }
    }

    /// The first connection that is not busy. If all are busy, the least busy one, and another is opened.
    fn pick(&self) -> Option<Arc<Connection>> {
        let open = self.read();
        let mut least: Option<&Arc<Connection>> = None;
        for connection in open.iter().filter(|connection| !connection.is_closed()) {
            if connection.load() < BUSY_COMMANDS as u64 {
                return Some(connection.clone());
            }
            if least.is_none_or(|least| connection.load() < least.load()) {
                least = Some(connection);
            }
        }
        let least = least.cloned();
        if least.is_some() && open.len() < self.settings.pool.size {
            self.open_another();
        }
        least
    }

    /// Stops sending new commands on a connection. Commands in flight complete.
    pub(super) fn retire(&self, id: u64) {
        self.remove(id, Closed::Retired);
    }

    /// Removes a connection that has ended.
    fn lost(&self, id: u64) {
        let now = Instant::now();
        let connections = self.read();
        let age = connections.iter().find(|it| it.id() == id).map(|it| it.age(now));
        drop(connections);
        if let Some(age) = age {
            self.count_life(age);
        }
        self.remove(id, Closed::Lost);
    }

    /// Notes how long a connection has lasted that was lost.
    fn count_life(&self, age: Duration) {
        if age > SHORT_LIFE {
            self.short_lived.store(0, Ordering::Relaxed);
            return;
        }
        self.short_lived.fetch_add(1, Ordering::Relaxed);
        if self.closes_at_once() {
            self.note(Note::ClosesAtOnce);
        }
    }

    /// Whether connections end as soon as they are open, again and again.
    fn closes_at_once(&self) -> bool {
        self.short_lived.load(Ordering::Relaxed) >= SHORT_LIVES_TO_REPORT
    }

    fn remove(&self, id: u64, why: Closed) {
        self.retain(why, |connection| connection.id() != id);
        self.keep_minimum();
    }

    /// Where the server is now. Ends the connections to all others.
    pub(super) async fn find_server(&self) -> Result<Address, DialError> {
        let found = self.dialer.endpoint().find().await;
        self.leave_others();
        found
    }

    /// Ends the connections to all servers but the master that was reported last, with their commands under way.
    pub(super) fn leave_others(&self) {
        let mut open = self.write();
        // Read under the lock: of two calls at the same time, the later one must know the newer master.
        let Some(master) = self.dialer.endpoint().reported_master() else { return };
        let moved = self.master.send_if_modified(|known| {
            let moved = known.as_ref() != Some(&master);
            known.clone_from(&Some(master.clone()));
            moved
        });
        self.remove_from(&mut open, Closed::Replaced, |connection| connection.server() == &master);
        drop(open);
        if moved {
            let store = &self.name;
            tracing::info!(store, "the master is {master}");
        }
        self.leave_removed(|connection| connection.server() != &master);
        self.keep_minimum();
    }

    /// Closes the pool, and ends its commands under way: another server has taken the place of this one.
    pub(super) fn leave_server(&self) {
        self.refuse_callers();
        self.retain(Closed::Replaced, |_| false);
        self.leave_removed(|_| true);
    }

    /// Ends the commands under way on removed connections for which `leaves` is true.
    fn leave_removed(&self, leaves: impl Fn(&Connection) -> bool) {
        let removed = self.removed.lock().unwrap_or_else(PoisonError::into_inner);
        let removed = removed.iter().filter_map(Weak::upgrade);
        removed.filter(|connection| leaves(connection)).for_each(|it| it.leave_server());
    }

    /// Stops sending new commands on connections whose server is already another node of this quorum.
    pub(super) fn leave_twins(&self) {
        let is_known =
            |connection: &Connection| self.membership.note(connection.identity()).is_ok();
        self.retain(Closed::Retired, is_known);
        self.keep_minimum();
    }

    /// Ends when the master is known to be at another address than `server`.
    pub(super) async fn moved_from(&self, server: &Address) {
        let mut master = self.master.subscribe();
        let moved = |master: &Option<Address>| master.as_ref().is_some_and(|now| now != server);
        // The sender lives as long as `self`.
        let _ = master.wait_for(moved).await;
    }

    /// Drops all connections. Refuses callers that wait for one, or ask for one later.
    pub(super) fn close(&self) {
        self.refuse_callers();
        self.retain(Closed::Shutdown, |_| false);
    }

    fn refuse_callers(&self) {
        self.permits.close();
        self.closing.cancel();
    }

    /// Waits until all commands are answered. The pool must be closed.
    pub(super) async fn wait(&self) {
        self.dialer.wait().await;
    }

    /// Ends all commands that are under way.
    pub(super) fn abort(&self) {
        self.dialer.abort();
    }

    /// Makes later locks expire by their time to live, because the server refused any other expiry. A later connection asks
    /// for the clock again.
    pub(super) fn do_without_clock(&self, connection: &Connection, refusal: String) {
        connection.forget_clock();
        connection.set_unasked();
        self.note(Note::NoClock(refusal));
    }

    /// Opens another connection if too few are open, but not [at once](REFILL) after the latest attempt.
    fn keep_minimum(&self) {
        if self.read().len() >= self.settings.pool.min_idle {
            return;
        }
        match REFILL.saturating_sub(self.history().since_last()) {
            Duration::ZERO => self.open_another(),
            pause => self.keep_minimum_after(pause),
        }
    }

    fn keep_minimum_after(&self, pause: Duration) {
        if self.refilling.swap(true, Ordering::AcqRel) {
            return;
        }
        let (me, closing) = (self.me.clone(), self.closing.clone());
        self.runtime.spawn(async move {
            let passed = closing.run_until_cancelled(tokio::time::sleep(pause)).await;
            if let (Some(()), Some(pool)) = (passed, me.upgrade()) {
                pool.refilling.store(false, Ordering::Release);
                pool.keep_minimum();
            }
        });
    }

    fn history(&self) -> History {
        *self.history.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn open_another(&self) {
        let Some(me) = self.me.upgrade() else { return };
        if self.closing.is_cancelled() || self.opening.swap(true, Ordering::AcqRel) {
            return;
        }
        self.runtime.spawn(async move {
            let closing = me.closing.clone();
            closing.run_until_cancelled(me.attempt()).await;
        });
    }

    async fn attempt(&self) {
        tokio::time::sleep(self.wait_before_attempt()).await;
        let mut identity = Identity::default();
        let (me, kept) = (self.me.clone(), identity.clone());
        let on_event = move |id, event| {
            // The driver keeps this closure, and with it the notes about the server, until the connection has ended.
            let _ = &kept;
            let Some(pool) = me.upgrade() else { return };
            match event {
                Event::Overdue => pool.retire(id),
                Event::Closed => pool.lost(id),
            }
        };
        let outcome = self.dialer.dial(on_event).await.and_then(|mut dialed| {
            if dialed.connection.is_closed() {
                // The server closed the connection right after its answers.
                self.count_life(Duration::ZERO);
                return Err(DialError::passing(Cause::Lost.to_string()));
            }
            identity.run_id = dialed.run_id.take();
            self.membership.note(&identity)?;
            dialed.connection.set_identity(identity);
            Ok(dialed)
        });
        // The attempt has asked for the address of the master.
        self.leave_others();
        self.record_attempt(&outcome);
        let outcome = outcome.map(|Dialed { connection, notes, about, .. }| {
            if let Some(about) = about {
                self.about.get_or_init(|| about);
            }
            notes.into_iter().for_each(|note| self.note(note));
            if connection.is_closed() {
                self.count_life(Duration::ZERO);
            }
            let mut open = self.write();
            // Checked under the lock that `close` takes, so that `close` misses no connection.
            if !self.closing.is_cancelled()
                && self.dialer.endpoint().is_at(connection.server())
                // The store may have joined a quorum meanwhile.
                && self.membership.note(connection.identity()).is_ok()
                && !connection.is_closed()
                && open.len() < self.settings.pool.size
            {
                open.push(Arc::new(connection));
                self.metrics.set_open(open.len());
            }
        });
        // Cleared before the result is sent: a caller that sees it must be able to start the next attempt.
        self.opening.store(false, Ordering::Release);
        drop(self.attempts.send_replace(outcome));
        self.keep_minimum();
    }

    fn wait_before_attempt(&self) -> Duration {
        let history = self.history();
        match history.failures {
            0 => Duration::ZERO,
            failures => self
                .settings
                .common
                .backoff
                .after(failures, fastrand::u64(..))
                .saturating_sub(history.since_last()),
        }
    }

    /// Why the server takes no locks at present; `None` if it takes locks.
    pub(super) fn absence(&self) -> Option<String> {
        self.read().iter().find_map(|connection| connection.refusal())
    }

    /// Whether a connection is open.
    pub(super) fn is_open(&self) -> bool {
        !self.read().is_empty()
    }

    /// Why the latest attempt to open a connection failed; `None` if it succeeded.
    pub(super) fn last_failure(&self) -> Option<String> {
        self.attempts.borrow().as_ref().err().map(|error| error.cause.clone())
    }

    /// The server's description of itself; `None` without one.
    pub(super) fn about(&self) -> Option<&str> {
        self.about.get().map(String::as_str)
    }

    pub(super) fn settings(&self) -> &RedisSettings {
        &self.settings
    }

    pub(super) fn dialer(&self) -> &Dialer {
        &self.dialer
    }

    /// Runs the task of a connection outside the pool, until the pool is closed.
    pub(super) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let closing = self.closing.clone();
        let task = async move { closing.run_until_cancelled(task).await.unwrap_or_default() };
        self.dialer.spawn(task, &self.runtime);
    }

    /// Logs a note about the server for the operator, once.
    pub(super) fn note(&self, note: Note) {
        let mut noted = self.noted.lock().unwrap_or_else(PoisonError::into_inner);
        if !noted.contains(&note) {
            let (store, redis) = (&self.name, self.dialer.endpoint());
            tracing::warn!(store, %redis, "{note}");
            noted.push(note);
        }
    }

    fn record_attempt(&self, outcome: &Result<Dialed, DialError>) {
        let mut history = self.history.lock().unwrap_or_else(PoisonError::into_inner);
        // A server that closes connections at once, before or after its answers, is reported once.
        let is_reported = self.closes_at_once();
        let (store, redis) = (&self.name, self.dialer.endpoint());
        self.metrics.connected(outcome.is_ok());
        history.last = Some(tokio::time::Instant::now());
        match outcome {
            Ok(_) => {
                if history.failures > 0 && !is_reported {
                    tracing::info!(store, %redis, "connected again");
                }
                history.failures = 0;
            }
            Err(error) => {
                if history.failures == 0 && !is_reported {
                    tracing::warn!(store, %redis, cause = error.cause, "cannot connect");
                }
                history.failures = history.failures.saturating_add(1);
            }
        }
    }

    /// Closes connections that are too old, and idle ones beyond the minimum.
    fn sweep(&self) {
        let now = Instant::now();
        let settings = &self.settings;
        self.retain(Closed::Aged, |connection| {
            !connection.is_to_ask_again(now)
                && settings.common.max_age.is_none_or(|most| connection.age(now) < most)
        });
        let mut open = self.write();
        let before = open.len();
        // From the end, because commands prefer the first.
        for index in (0..open.len()).rev() {
            let idle = open[index].idle(now);
            let beyond = open.len() > settings.pool.min_idle;
            if beyond && settings.common.idle_timeout.is_some_and(|most| idle >= most) {
                self.let_go([open.remove(index)]);
            }
        }
        self.count_closed(Closed::Idle, before, &open);
        drop(open);
        self.keep_minimum();
    }

    /// Drops the connections for which `kept` is false.
    fn retain(&self, why: Closed, kept: impl Fn(&Connection) -> bool) {
        self.remove_from(&mut self.write(), why, kept);
    }

    fn remove_from(
        &self,
        open: &mut Vec<Arc<Connection>>,
        why: Closed,
        kept: impl Fn(&Connection) -> bool,
    ) {
        let before = open.len();
        self.let_go(open.extract_if(.., |connection| !kept(connection)));
        self.count_closed(why, before, open);
    }

    /// Keeps removed connections in the list until their commands under way have ended.
    fn let_go(&self, connections: impl IntoIterator<Item = Arc<Connection>>) {
        let mut removed = self.removed.lock().unwrap_or_else(PoisonError::into_inner);
        removed.retain(|connection| connection.strong_count() > 0);
        removed.extend(connections.into_iter().map(|connection| Arc::downgrade(&connection)));
    }

    fn count_closed(&self, why: Closed, before: usize, open: &[Arc<Connection>]) {
        if open.len() < before {
            self.metrics.closed(why, before - open.len());
            self.metrics.set_open(open.len());
        }
    }

    fn read(&self) -> RwLockReadGuard<'_, Vec<Arc<Connection>>> {
        self.open.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Vec<Arc<Connection>>> {
        self.open.write().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn sweep(pool: Weak<Connections>, every: Duration, closing: CancellationToken) {
    let sleep = || tokio::time::sleep(every);
    while closing.run_until_cancelled(sleep()).await.is_some() {
        match pool.upgrade() {
            Some(pool) => pool.sweep(),
            None => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::redis::{endpoint::Endpoint, stream::Streams};

    /// A pool for a port of this machine without a listener.
    fn refused(settings: RedisSettings) -> Arc<Connections> {
        let settings = Arc::new(settings.checked().unwrap());
        let streams = Arc::new(Streams::new(None, None).unwrap());
        let endpoint = Endpoint::Fixed(Address { host: "127.0.0.1".to_owned(), port: 1 });
        let dialer = Dialer::new(settings.clone(), endpoint, streams);
        Connections::new("locks", settings, dialer, Membership::default())
    }

    #[tokio::test(start_paused = true)]
    async fn too_few_connections_are_no_reason_to_try_without_a_pause() {
        const ATTEMPTS: u32 = 20;
        let settings = RedisSettings::new("127.0.0.1").min_idle(2);
        let pool = refused(settings.retry_interval(Duration::ZERO, Duration::ZERO));
        let begun = tokio::time::Instant::now();
        let mut attempts = pool.attempts.subscribe();
        pool.keep_minimum();
        for _ in 0..=ATTEMPTS {
            attempts.changed().await.unwrap();
            assert!(attempts.borrow().is_err());
            // A caller may begin the next attempt meanwhile.
            assert!(!pool.opening.load(Ordering::Acquire));
        }
        // Measured by the clock of this test, which stands still while a task works.
        assert!(begun.elapsed() >= REFILL * ATTEMPTS, "{:?}", begun.elapsed());
    }
}

//! Runs a command: sends it, tries again where that is safe, and takes over when the caller leaves.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use holdfast_redis_rules::{
    acquire::{Acquire, Acquired},
    late::{LATE_REPLY, late},
    refusal::Again,
    release::{Form, Release, Released},
    tries::{Next, Tries},
};
use redis::RedisResult;
use tokio::{runtime::Handle, time::timeout};
use tokio_util::task::TaskTracker;

use super::{
    abandoned::Abandoned,
    commands::Command,
    connections::{Connections, Place},
    failure::{self, Verdict},
    pending::{Pending, Unanswered},
    settings::RedisSettings,
};

/// How long [`Client::close`] waits for unfinished commands.
const CLOSING: Duration = Duration::from_secs(5);

/// A client of one server.
pub(super) struct Client {
    address: String,
    settings: Arc<RedisSettings>,
    connections: Arc<Connections>,
    abandoned: Abandoned,
    background: TaskTracker,
    runtime: Handle,
}

/// Why a command has no outcome.
pub(super) enum NoOutcome {
    /// It did nothing.
    Refused(String),
    /// It was sent at this time, and its reply did not come within `readTimeout`.
    Late(String, Instant),
    /// It may have been sent, and the connection is lost.
    Lost(String),
}

impl Drop for Client {
    fn drop(&mut self) {
        self.connections.close();
    }
}

impl Client {
    /// Makes a client without a connection.
    ///
    /// Fails with the cause if the settings of TLS cannot be used.
    pub(super) fn new(name: &str, settings: RedisSettings) -> Result<Arc<Self>, String> {
        let settings = Arc::new(settings);
        Ok(Arc::new(Self {
            address: settings.address(),
            connections: Connections::new(name, settings.clone())?,
            settings,
            abandoned: Abandoned::default(),
            background: TaskTracker::new(),
            runtime: Handle::current(),
        }))
    }

    /// The server's `host:port`.
    pub(super) fn address(&self) -> &str {
        &self.address
    }

    pub(super) fn connections(&self) -> &Connections {
        &self.connections
    }

    /// Takes the lock unless it is held. A grant that comes after the caller has left is given back.
    pub(super) async fn acquire(
        self: &Arc<Self>,
        key: &str,
        owner: &str,
        ttl: Duration,
    ) -> Result<Acquired, NoOutcome> {
        let milliseconds = u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX);
        self.run(&Acquire::new(key, owner, milliseconds), |unanswered| {
            let until = unanswered.sent + late(ttl);
            self.give_back(unanswered, key, owner, until);
        })
        .await
    }

    /// Releases the lock if it is the owner's.
    ///
    /// If the caller has left and the server has forgotten the script, the lock is left to expire:
    /// sending the script in full later could end a newer hold of the same owner.
    pub(super) async fn release(
        self: &Arc<Self>,
        key: &str,
        owner: &str,
    ) -> Result<Released, NoOutcome> {
        let outcome = self
            .run(&Release { key, owner }, |unanswered| {
                self.abandoned.forget(key, owner);
                let client = self.clone();
                let until = Instant::now() + LATE_REPLY;
                let task = async move { drop(client.late_reply(unanswered, until).await) };
                self.background.spawn_on(task, &self.runtime);
            })
            .await;
        match outcome {
            Ok(Released::Released) | Err(NoOutcome::Late(..) | NoOutcome::Lost(_)) => {
                self.abandoned.forget(key, owner);
            }
            Ok(Released::Missing | Released::HeldByOther) | Err(NoOutcome::Refused(_)) => {}
        }
        outcome
    }

    /// Refuses further commands, waits five seconds at most for those under way, and closes the
    /// connections.
    pub(super) async fn close(&self) {
        self.connections.refuse();
        self.background.close();
        if timeout(CLOSING, self.background.wait()).await.is_err() {
            let (redis, left) = (&self.address, self.background.len());
            tracing::warn!(redis, left, "closed before every command was answered");
        }
        self.connections.close();
    }

    /// Sends a command and waits for its reply, `readTimeout` at most. Sends it again only if the
    /// server refused it for a reason that may pass. `abandon` gets the reply that did not come
    /// before the timeout, or before the caller left.
    async fn run<C: Command>(
        &self,
        command: &C,
        abandon: impl Fn(Unanswered<C::Outcome>) + Sync,
    ) -> Result<C::Outcome, NoOutcome> {
        let common = &self.settings.common;
        let mut tries = Tries::new(common.retries, common.backoff);
        loop {
            let (place, _permit) = self.connections.take().await.map_err(NoOutcome::Refused)?;
            let connection = place.connection().id();
            let sent = Instant::now();
            let reply = command.send(place, tries.form());
            let pending = Pending::new(Unanswered { reply, connection, sent }, &abandon);
            let error = match self.within_read_timeout(pending).await {
                Some(Ok(outcome)) => return Ok(outcome),
                Some(Err(error)) => error,
                None => {
                    // Later commands must not queue behind a reply that does not come.
                    self.connections.retire(connection);
                    return Err(NoOutcome::Late(self.no_reply(), sent));
                }
            };
            let cause = failure::describe(&error);
            let Verdict::Refused(again) = failure::verdict(&error) else {
                self.connections.retire(connection);
                return Err(NoOutcome::Lost(cause));
            };
            if again == Again::Elsewhere {
                self.connections.retire(connection);
            }
            match tries.refused(again, fastrand::u64(..)) {
                Next::Now => {}
                Next::After(wait) => tokio::time::sleep(wait).await,
                Next::GiveUp => return Err(NoOutcome::Refused(cause)),
            }
        }
    }

    /// Waits in the background for the reply to an acquire whose caller has left, and releases the
    /// lock if it was granted.
    ///
    /// It does nothing after `until`, when the lock may have expired and the owner may have taken it
    /// again. The release goes over the connection of the grant, so that neither overtakes the other.
    fn give_back(
        self: &Arc<Self>,
        unanswered: Unanswered<Acquired>,
        key: &str,
        owner: &str,
        until: Instant,
    ) {
        let client = self.clone();
        let (key, owner) = (key.to_owned(), owner.to_owned());
        let ticket = self.abandoned.add(&key, &owner);
        let task = async move {
            let granted = client.late_reply(unanswered, until).await;
            let wanted = client.abandoned.take(&key, &owner, ticket);
            let Some(Ok((Acquired::Granted, place))) = granted else {
                return;
            };
            if !wanted || Instant::now() >= until {
                return;
            }
            let redis = &client.address;
            // In full: one command suffices even if the server has forgotten the script.
            let release = Release { key: &key, owner: &owner }.send(place, Form::Full);
            match client.within_read_timeout(release).await {
                Some(Ok(_)) => {
                    tracing::debug!(redis, key, "gave back a lock that was granted too late")
                }
                _ => {
                    tracing::warn!(
                        redis,
                        key,
                        "a lock that was granted too late could not be given back"
                    )
                }
            }
        };
        self.background.spawn_on(task, &self.runtime);
    }

    /// The reply to a command whose caller has left, if it comes before `until`.
    ///
    /// A connection that owes it for longer than `readTimeout` is retired. Otherwise a dead
    /// connection would stay in use as long as every caller leaves before its timeout.
    async fn late_reply<T>(
        &self,
        unanswered: Unanswered<T>,
        until: Instant,
    ) -> Option<RedisResult<(T, Place)>> {
        let Unanswered { mut reply, connection, sent } = unanswered;
        let within = |end: Instant| end.saturating_duration_since(Instant::now());
        let limit = self.settings.common.read_timeout;
        if let Some(end) = limit.and_then(|limit| sent.checked_add(limit)) {
            if let Ok(reply) = timeout(within(end.min(until)), &mut reply).await {
                return Some(reply);
            }
            if end <= until {
                self.connections.retire(connection);
            }
        }
        timeout(within(until), reply).await.ok()
    }

    /// Waits for `future`, `readTimeout` at most; `None` once that has passed.
    pub(super) async fn within_read_timeout<F: Future>(&self, future: F) -> Option<F::Output> {
        match self.settings.common.read_timeout {
            Some(limit) => timeout(limit, future).await.ok(),
            None => Some(future.await),
        }
    }

    /// The message for a reply that did not come within `readTimeout`.
    pub(super) fn no_reply(&self) -> String {
        format!("no reply within {:?}", self.settings.common.read_timeout.unwrap_or_default())
    }
}

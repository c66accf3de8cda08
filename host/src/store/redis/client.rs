//! One command: sent, tried again where that is safe, and seen to when its caller has gone.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use holdfast_redis_rules::{
    acquire::Acquired,
    late::{LATE_REPLY, late},
    refusal::Again,
    release::{Form, Released},
    tries::{Next, Tries},
};
use redis::RedisResult;
use tokio::{runtime::Handle, time::timeout};
use tokio_util::task::TaskTracker;

use super::{
    abandoned::Abandoned,
    commands::{Command, DeleteIfOwned, Reply, SetIfFree},
    connections::{Connections, Place},
    failure::{self, Verdict},
    pending::{Left, Pending},
    settings::RedisSettings,
};

/// How long closing waits for unfinished commands.
const CLOSING: Duration = Duration::from_secs(5);

/// The commands of one server.
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
    /// It was sent at that time, and its reply is not here yet.
    Late(String, Instant),
    /// It was sent, or may have been, and the connection is lost.
    Lost(String),
}

impl Drop for Client {
    fn drop(&mut self) {
        self.connections.close();
    }
}

impl Client {
    /// A client without a connection yet. Fails, with the cause, on TLS settings that cannot be used.
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

    /// Takes the lock unless it is held. If nobody waits for the reply any more, a grant is given
    /// back.
    pub(super) async fn acquire(
        self: &Arc<Self>,
        key: &str,
        owner: &str,
        ttl: Duration,
    ) -> Result<Acquired, NoOutcome> {
        let set = SetIfFree { key, owner, ttl };
        self.run(&set, |left| {
            let until = left.sent + late(ttl);
            self.give_back(left, key, owner, until);
        })
        .await
    }

    /// Releases the lock if it is the owner's.
    ///
    /// Where the server has forgotten the script and nobody waits any more, the lock is left to run
    /// out: sending the script in full then could end a hold that the owner has since taken anew.
    pub(super) async fn release(
        self: &Arc<Self>,
        key: &str,
        owner: &str,
    ) -> Result<Released, NoOutcome> {
        let outcome = self
            .run(&DeleteIfOwned { key, owner }, |left| {
                self.abandoned.forget(key, owner);
                let client = self.clone();
                let until = Instant::now() + LATE_REPLY;
                let task = async move { drop(client.late_reply(left, until).await) };
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

    /// Refuses further commands, waits for those under way, five seconds at most, and closes the
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

    /// Sends a command and waits for its reply, `readTimeout` at most. Sends it again only where
    /// the server said that it did nothing and that this may pass. `leave` gets a reply that is
    /// awaited no longer, by us or by the caller.
    async fn run<C: Command>(
        &self,
        command: &C,
        leave: impl Fn(Left<C::Outcome>) + Sync,
    ) -> Result<C::Outcome, NoOutcome> {
        let common = &self.settings.common;
        let mut tries = Tries::new(common.retries, common.backoff);
        loop {
            let (place, _room) = self.connections.take().await.map_err(NoOutcome::Refused)?;
            let connection = place.connection().id();
            let sent = Instant::now();
            let reply: Reply<C::Outcome> = command.send(place, tries.form());
            let pending = Pending::new(Left { reply, connection, sent }, &leave);
            let error = match self.within_read_timeout(pending).await {
                Some(Ok(outcome)) => return Ok(outcome),
                Some(Err(error)) => error,
                None => {
                    // What comes next must not queue behind a reply that does not come.
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

    /// Sees to an acquire that nobody waits for: releases what it is granted.
    ///
    /// Not after `until`, for from then on the lock may have run out, and the owner may have
    /// taken it anew. On the connection that the grant came by, so that nothing overtakes it.
    fn give_back(self: &Arc<Self>, left: Left<Acquired>, key: &str, owner: &str, until: Instant) {
        let client = self.clone();
        let (key, owner) = (key.to_owned(), owner.to_owned());
        let ticket = self.abandoned.add(&key, &owner);
        let task = async move {
            let granted = client.late_reply(left, until).await;
            let wanted = client.abandoned.take(&key, &owner, ticket);
            let Some(Ok((Acquired::Granted, place))) = granted else {
                return;
            };
            if !wanted || Instant::now() >= until {
                return;
            }
            let redis = &client.address;
            // In one command whatever the server remembers.
            let release = DeleteIfOwned { key: &key, owner: &owner }.send(place, Form::Full);
            match client.within_read_timeout(release).await {
                Some(Ok(_)) => tracing::debug!(redis, key, "gave back a lock that came too late"),
                _ => {
                    tracing::warn!(redis, key, "a lock that came too late could not be given back")
                }
            }
        };
        self.background.spawn_on(task, &self.runtime);
    }

    /// A reply that nobody waits for any more. A connection that owes it for longer than
    /// `readTimeout` takes no more commands: callers who all leave earlier must not keep a dead
    /// one in use.
    async fn late_reply<T>(
        &self,
        left: Left<T>,
        until: Instant,
    ) -> Option<RedisResult<(T, Place)>> {
        let Left { mut reply, connection, sent } = left;
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

    /// What `future` gives within `readTimeout`; `None` where that has passed.
    pub(super) async fn within_read_timeout<F: Future>(&self, future: F) -> Option<F::Output> {
        match self.settings.common.read_timeout {
            Some(limit) => timeout(limit, future).await.ok(),
            None => Some(future.await),
        }
    }

    /// What to say once `readTimeout` has passed.
    pub(super) fn no_reply(&self) -> String {
        format!("no reply within {:?}", self.settings.common.read_timeout.unwrap_or_default())
    }
}

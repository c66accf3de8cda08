//! Locks in Redis: the store of `lock.redis` components.
//!
//! A lock is a key whose value is its owner and whose time to live is the lock's, as daprd keeps
//! it, so both exclude each other on one server. How a lock is taken, released and given back is
//! on this page; settings, sockets and the meaning of Redis's errors have files of their own. How
//! a key is built is not known here.

mod abandoned;
mod again;
mod backoff;
mod check;
mod commands;
mod connection;
mod connections;
mod duration;
mod failure;
mod metrics;
mod pending;
mod settings;
mod tls;

use std::{
    fmt,
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use futures_util::future::BoxFuture;
use redis::RedisResult;
use tokio::{runtime::Handle, time::timeout};
use tokio_util::task::TaskTracker;

use self::{
    abandoned::Abandoned,
    commands::{DeleteIfOwned, SetIfFree},
    connections::{Connections, Place},
    failure::{Again, Verdict},
    pending::{Command, Form, Left, Pending},
};
use super::{Acquired, Failure, Grant, Released, Store, late};

pub use self::{check::ConnectError, settings::RedisSettings};

/// So long at most closing waits for what is unfinished.
const CLOSING: Duration = Duration::from_secs(5);

/// A store that keeps its locks in one Redis server.
///
/// Each command is sent at most once, unless the server answered that it did nothing. A command
/// whose caller goes away is finished in the background on the Tokio runtime that
/// [`connect`](Self::connect) ran on, and a lock that it was granted is released again.
pub struct RedisStore(Arc<Inner>);

struct Inner {
    address: String,
    settings: RedisSettings,
    connections: Arc<Connections>,
    abandoned: Abandoned,
    background: TaskTracker,
    runtime: Handle,
}

/// Why a command has no outcome.
enum NoOutcome {
    /// It did nothing.
    Refused(String),
    /// It was sent at that time, and its reply is not here yet.
    Late(String, Instant),
    /// It was sent, or may have been, and the connection is lost.
    Lost(String),
}

impl RedisStore {
    /// Connects to the server, logs in and asks whether locks are safe with it. `name` is the
    /// component's, for the log.
    ///
    /// Must be called in a Tokio runtime with time and I/O enabled. Takes no longer than
    /// `poolTimeout` and `readTimeout` together, and retries as the settings say.
    ///
    /// # Errors
    ///
    /// See [`ConnectError`].
    pub async fn connect(name: &str, settings: RedisSettings) -> Result<Self, ConnectError> {
        let address = settings.address();
        let connections = match Connections::new(name, settings.clone()) {
            Ok(connections) => connections,
            Err(cause) => return Err(ConnectError::Tls { address, cause }),
        };
        // Built before it is trusted: whatever ends this future also closes the connections.
        let store = Self(Arc::new(Inner {
            address,
            settings,
            connections,
            abandoned: Abandoned::default(),
            background: TaskTracker::new(),
            runtime: Handle::current(),
        }));
        check::trust(name, &store.0).await?;
        Ok(store)
    }
}

impl fmt::Debug for RedisStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("RedisStore").field(&self.0.address).finish()
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.connections.close();
    }
}

impl Store for RedisStore {
    /// Fails with [`Failure::NotDone`] when no connection could be had, or the server refused.
    ///
    /// Fails with [`Failure::Unknown`] when no reply came within `readTimeout`, or the connection
    /// was lost. In the first case the reply is awaited further, until the time to live has passed
    /// since the command was sent, 30 seconds at most, and a lock that it grants is given back;
    /// `held_until` allows for a server that takes the command up at the last of these moments. A
    /// server that stands still for longer, with the command in its buffers, can exceed it.
    fn acquire<'a>(
        &'a self,
        key: &'a str,
        owner: &'a str,
        ttl: Duration,
    ) -> BoxFuture<'a, Result<Acquired, Failure>> {
        Box::pin(async move {
            let store = &self.0;
            let set = SetIfFree { store, key, owner, ttl };
            match store.run(set).await {
                Ok(true) => Ok(Acquired::Granted(Grant::default())),
                Ok(false) => Ok(Acquired::Held),
                Err(NoOutcome::Refused(cause)) => Err(store.not_done(&cause)),
                Err(NoOutcome::Late(cause, sent)) => {
                    let longest = late(ttl).saturating_sub(sent.elapsed()).saturating_add(ttl);
                    Err(store.unknown(&cause, SystemTime::now().checked_add(longest)))
                }
                Err(NoOutcome::Lost(cause)) => {
                    Err(store.unknown(&cause, SystemTime::now().checked_add(ttl)))
                }
            }
        })
    }

    /// Fails with [`Failure::NotDone`] when no connection could be had, or the server refused,
    /// and with [`Failure::Unknown`] when no reply came within `readTimeout`, or the connection
    /// was lost.
    fn release<'a>(
        &'a self,
        key: &'a str,
        owner: &'a str,
    ) -> BoxFuture<'a, Result<Released, Failure>> {
        Box::pin(async move {
            let store = &self.0;
            let outcome = store.run(DeleteIfOwned { store, key, owner }).await;
            match outcome {
                Ok(Released::Released) | Err(NoOutcome::Late(..) | NoOutcome::Lost(_)) => {
                    store.abandoned.forget(key, owner);
                }
                Ok(Released::Missing | Released::HeldByOther) | Err(NoOutcome::Refused(_)) => {}
            }
            outcome.map_err(|error| match error {
                NoOutcome::Refused(cause) => store.not_done(&cause),
                NoOutcome::Late(cause, _) | NoOutcome::Lost(cause) => store.unknown(&cause, None),
            })
        })
    }

    /// Waits at most five seconds.
    fn close(&self) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            let store = &self.0;
            store.connections.refuse();
            store.background.close();
            if timeout(CLOSING, store.background.wait()).await.is_err() {
                let (redis, left) = (&store.address, store.background.len());
                tracing::warn!(redis, left, "closed before every command was answered");
            }
            store.connections.close();
        })
    }
}

impl Inner {
    /// Sends a command and waits for its reply, `readTimeout` at most. Sends it again only where
    /// the server said that it did nothing and that this may pass. A reply that is awaited no
    /// longer, by us or by the caller, is left to the command.
    async fn run<C: Command>(&self, command: C) -> Result<C::Outcome, NoOutcome> {
        let (mut refusals, mut form) = (0, Form::Short);
        loop {
            let (place, _room) = self.connections.take().await.map_err(NoOutcome::Refused)?;
            let connection = place.connection().id();
            let sent = Instant::now();
            let pending = Pending::new(&command, form, place, sent);
            let error = match within(self.settings.read_timeout, pending).await {
                Some(Ok(outcome)) => return Ok(outcome),
                Some(Err(error)) => error,
                None => {
                    // What comes next must not queue behind a reply that does not come.
                    self.connections.retire(connection);
                    return Err(NoOutcome::Late(no_reply(&self.settings), sent));
                }
            };
            let cause = failure::describe(&error);
            match failure::verdict(&error) {
                Verdict::Lost => {
                    self.connections.retire(connection);
                    return Err(NoOutcome::Lost(cause));
                }
                Verdict::Refused(Again::InFull) if form == Form::Short => {
                    form = Form::Full;
                    continue;
                }
                Verdict::Refused(Again::Elsewhere) => self.connections.retire(connection),
                Verdict::Refused(Again::Later) => {}
                Verdict::Refused(Again::No | Again::InFull) => {
                    return Err(NoOutcome::Refused(cause));
                }
            }
            if refusals == self.settings.retries {
                return Err(NoOutcome::Refused(cause));
            }
            refusals += 1;
            tokio::time::sleep(self.settings.backoff.after(refusals)).await;
        }
    }

    /// Sees to an acquire that nobody waits for: releases what it is granted.
    ///
    /// Not after `until`, for from then on the lock may have run out, and the owner may have
    /// taken it anew. On the connection that the grant came by, so that nothing overtakes it.
    fn give_back(self: &Arc<Self>, left: Left<bool>, key: &str, owner: &str, until: Instant) {
        let store = self.clone();
        let (key, owner) = (key.to_owned(), owner.to_owned());
        let ticket = self.abandoned.add(&key, &owner);
        let task = async move {
            let granted = store.late_reply(left, until).await;
            let wanted = store.abandoned.take(&key, &owner, ticket);
            let Some(Ok((true, place))) = granted else {
                return;
            };
            if !wanted || Instant::now() >= until {
                return;
            }
            let redis = &store.address;
            let release = DeleteIfOwned { store: &store, key: &key, owner: &owner };
            // In one command whatever the server remembers.
            let released = release.send(place, Form::Full);
            match within(store.settings.read_timeout, released).await {
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
        if let Some(end) = self.settings.read_timeout.and_then(|limit| sent.checked_add(limit)) {
            if let Ok(reply) = timeout(within(end.min(until)), &mut reply).await {
                return Some(reply);
            }
            if end <= until {
                self.connections.retire(connection);
            }
        }
        timeout(within(until), reply).await.ok()
    }

    fn not_done(&self, cause: &str) -> Failure {
        Failure::NotDone { cause: format!("redis {}: {cause}", self.address) }
    }

    fn unknown(&self, cause: &str, held_until: Option<SystemTime>) -> Failure {
        Failure::Unknown { cause: format!("redis {}: {cause}", self.address), held_until }
    }
}

fn no_reply(settings: &RedisSettings) -> String {
    format!("no reply within {:?}", settings.read_timeout.unwrap_or_default())
}

async fn within<F: Future>(limit: Option<Duration>, future: F) -> Option<F::Output> {
    match limit {
        Some(limit) => timeout(limit, future).await.ok(),
        None => Some(future.await),
    }
}

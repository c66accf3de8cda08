//! Locks in Redis: the store of `lock.redis` components.
//!
//! A lock is a key whose value is its owner and whose time to live is the lock's, as daprd keeps
//! it, so both exclude each other on one server. How a lock is taken, released and given back is
//! on this page; settings, sockets and the meaning of Redis's errors have files of their own. How
//! a key is built is not known here.

mod abandoned;
mod backoff;
mod check;
mod connection;
mod connections;
mod duration;
mod failure;
mod pending;
mod settings;
mod tls;

use std::{
    fmt,
    sync::{Arc, LazyLock},
    time::{Duration, Instant, SystemTime},
};

use futures_util::future::BoxFuture;
use redis::{ErrorKind, RedisError, Script, Value};
use tokio::{runtime::Handle, time::timeout};
use tokio_util::task::TaskTracker;

use self::{
    abandoned::Abandoned,
    connections::{Connections, Place},
    failure::{Again, Verdict},
    pending::{Command, Form, Pending, Reply},
};
use super::{Acquired, Failure, Grant, Released, Store};

pub use self::settings::RedisSettings;

/// So long at most a reply is awaited after it was given up, to give back what it grants.
const LATE_REPLY: Duration = Duration::from_secs(30);

/// So long at most closing waits for what is unfinished.
const CLOSING: Duration = Duration::from_secs(5);

const RELEASE_LUA: &str = include_str!("release.lua");

static RELEASE: LazyLock<Script> = LazyLock::new(|| Script::new(RELEASE_LUA));

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

/// Why a Redis store cannot be used. Names the server, never a password.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConnectError {
    /// TLS could not be set up: a client certificate that does not fit its key, a host that no
    /// certificate can name, no trusted certificates on this system.
    #[error("redis {address}: {cause}")]
    Tls {
        /// The server's `host:port`.
        address: String,
        /// What is wrong.
        cause: String,
    },
    /// The server could not be reached, did not answer in time, or refused the login.
    #[error("redis {address}: {cause}")]
    Unreachable {
        /// The server's `host:port`.
        address: String,
        /// What went wrong, in the last of the attempts.
        cause: String,
    },
    /// The server has replicas. A failover to one of them can lose a lock.
    #[error(
        "redis {address}: replication is not supported: the server has {replicas} connected \
         replica(s), a failover to one could lose a lock, and the setting failover is off"
    )]
    Replicated {
        /// The server's `host:port`.
        address: String,
        /// How many there are.
        replicas: u64,
    },
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
    /// `poolTimeout`, and retries as the settings say.
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
        if let Err(error) = check(name, &address, &settings, &connections).await {
            connections.close();
            return Err(error);
        }
        Ok(Self(Arc::new(Inner {
            address,
            settings,
            connections,
            abandoned: Abandoned::default(),
            background: TaskTracker::new(),
            runtime: Handle::current(),
        })))
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

async fn check(
    name: &str,
    address: &str,
    settings: &RedisSettings,
    connections: &Connections,
) -> Result<(), ConnectError> {
    let unreachable = |cause| ConnectError::Unreachable { address: address.to_owned(), cause };
    let (place, _room) = connections.take().await.map_err(unreachable)?;
    let questions = async {
        let replicas = check::replicas(place.connection()).await?;
        Ok::<_, RedisError>((replicas, check::eviction(place.connection()).await))
    };
    let (replicas, eviction) = within(settings.read_timeout, questions)
        .await
        .ok_or_else(|| unreachable(no_reply(settings)))?
        .map_err(|error| unreachable(failure::describe(&error)))?;
    if let Some(policy) = eviction {
        let (store, redis) = (name, address);
        tracing::warn!(
            store,
            redis,
            policy,
            "the server may evict locks before their time: set its maxmemory-policy to noeviction"
        );
    }
    match replicas {
        None | Some(0) => Ok(()),
        Some(replicas) => Err(ConnectError::Replicated { address: address.to_owned(), replicas }),
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

/// Takes the lock unless it is held: `SET key owner NX PX ttl`.
struct SetIfFree<'a> {
    store: &'a Arc<Inner>,
    key: &'a str,
    owner: &'a str,
    ttl: Duration,
}

impl Command for SetIfFree<'_> {
    type Outcome = bool;

    fn send(&self, place: Place, _: Form) -> Reply<bool> {
        let mut set = redis::cmd("SET");
        let milliseconds = u64::try_from(self.ttl.as_millis()).unwrap_or(u64::MAX);
        set.arg(self.key).arg(self.owner).arg("NX").arg("PX").arg(milliseconds);
        Box::pin(async move {
            match place.connection().send(&set).await? {
                Value::Okay => Ok((true, place)),
                Value::Nil => Ok((false, place)),
                _ => Err(nonsense()),
            }
        })
    }

    fn leave(&self, reply: Reply<bool>, sent: Instant) {
        let until = sent + late(self.ttl);
        self.store.give_back(reply, self.key, self.owner, until);
    }
}

/// Releases the lock if it is the owner's, as `release.lua` says.
struct DeleteIfOwned<'a> {
    store: &'a Arc<Inner>,
    key: &'a str,
    owner: &'a str,
}

impl Command for DeleteIfOwned<'_> {
    type Outcome = Released;

    fn send(&self, place: Place, form: Form) -> Reply<Released> {
        let mut eval = match form {
            Form::Short => redis::cmd("EVALSHA"),
            Form::Full => redis::cmd("EVAL"),
        };
        eval.arg(match form {
            Form::Short => RELEASE.get_hash(),
            Form::Full => RELEASE_LUA,
        });
        eval.arg(1).arg(self.key).arg(self.owner);
        Box::pin(async move {
            match place.connection().send(&eval).await? {
                Value::Int(1) => Ok((Released::Released, place)),
                Value::Int(-1) => Ok((Released::Missing, place)),
                Value::Int(-2) => Ok((Released::HeldByOther, place)),
                _ => Err(nonsense()),
            }
        })
    }

    /// Where the server has forgotten the script, the lock is left to run out: sending it in full
    /// now could end a hold that the owner has since taken anew.
    fn leave(&self, reply: Reply<Released>, _: Instant) {
        let task = async move { drop(timeout(LATE_REPLY, reply).await) };
        self.store.background.spawn_on(task, &self.store.runtime);
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
    fn give_back(self: &Arc<Self>, reply: Reply<bool>, key: &str, owner: &str, until: Instant) {
        let store = self.clone();
        let (key, owner) = (key.to_owned(), owner.to_owned());
        let ticket = self.abandoned.add(&key, &owner);
        let task = async move {
            let granted = timeout(until.saturating_duration_since(Instant::now()), reply).await;
            let wanted = store.abandoned.take(&key, &owner, ticket);
            let Ok(Ok((true, place))) = granted else {
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

    fn not_done(&self, cause: &str) -> Failure {
        Failure::NotDone { cause: format!("redis {}: {cause}", self.address) }
    }

    fn unknown(&self, cause: &str, held_until: Option<SystemTime>) -> Failure {
        Failure::Unknown { cause: format!("redis {}: {cause}", self.address), held_until }
    }
}

/// How long after an acquire was sent its grant is still given back.
fn late(ttl: Duration) -> Duration {
    ttl.min(LATE_REPLY)
}

fn no_reply(settings: &RedisSettings) -> String {
    format!("no reply within {:?}", settings.read_timeout.unwrap_or_default())
}

fn nonsense() -> RedisError {
    (ErrorKind::UnexpectedReturnType, "the server's reply makes no sense").into()
}

async fn within<F: Future>(limit: Option<Duration>, future: F) -> Option<F::Output> {
    match limit {
        Some(limit) => timeout(limit, future).await.ok(),
        None => Some(future.await),
    }
}

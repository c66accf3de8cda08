//! [`RedisStore`].

use std::{
    collections::HashMap,
    fmt,
    pin::pin,
    sync::Arc,
    time::{Duration, SystemTime},
};

use futures_util::future::BoxFuture;
use holdfast_redis_rules::{
    acquire::Wanted,
    extend::{self, Extend},
    fence, inspect,
    list::{self, Listed, Part},
    redirect::NEEDS_CLUSTER,
    release::{self, Form},
};
use holdfast_timing::milliseconds;
use tokio::time::{Instant, timeout_at};

use super::{
    check::{self, LastFailure},
    connect_error::ConnectError,
    membership::Membership,
    nodes::{Nodes, run},
    outcome::{Ended, GrantedLock, NoOutcome},
    settings::RedisSettings,
    survey,
};
use crate::store::{
    Acquired, Extended, Failure, Grant, HeldKey, Holding, KeyPage, Released, Store, Survey,
    Watched, identities::Identities,
};

/// How many parts of the keys are looked at for a page of locks.
const MAX_PARTS: usize = 256;

/// A store that keeps its locks in Redis: in one server, in the master that Redis Sentinel names, or in a cluster.
///
/// A command is sent again only if it was not sent, or the server answered that it did nothing. A command whose caller
/// leaves is finished in the background, on the Tokio runtime in which [`connect`](Self::connect) ran, and its grant is
/// given back.
pub struct RedisStore {
    nodes: Nodes,
    membership: Membership,
    settings: RedisSettings,
    /// Where the servers are.
    address: String,
}

impl RedisStore {
    /// Connects to the server, logs in and checks that locks are safe with it: asks the server to describe itself, and
    /// takes and releases a [lock](RedisSettings::check_key_prefix). `name` is the store's, for logs and metrics.
    ///
    /// Must be called in a Tokio runtime with time and I/O enabled. Makes
    /// [`retries`](RedisSettings::retries) more attempts to connect after the first, each of which takes no
    /// longer than [`dial_timeout`](RedisSettings::dial_timeout), and as many more tries to take the lock if too few
    /// replicas have it or its outcome is unknown.
    ///
    /// ```no_run
    /// use holdfast::store::redis::{RedisSettings, RedisStore};
    ///
    /// # async fn connect() -> Result<(), Box<dyn std::error::Error>> {
    /// let settings = RedisSettings::from_url("redis://127.0.0.1:6379/0")?.retries(5);
    /// let store = RedisStore::connect("locks", settings).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// See [`ConnectError`].
    pub async fn connect(name: &str, settings: RedisSettings) -> Result<Self, ConnectError> {
        Self::connect_until(name, settings, None).await
    }

    /// The same as [`connect`](Self::connect), but gives up at the deadline, if one is given.
    pub(super) async fn connect_until(
        name: &str,
        settings: RedisSettings,
        deadline: Option<Instant>,
    ) -> Result<Self, ConnectError> {
        // Made before the check, so that dropping this future closes the connections.
        let store = Self::unconnected(name, settings)?;
        {
            // Kept until the error has named the step that did not end.
            let last_failure = LastFailure::default();
            let (nodes, address) = (&store.nodes, &store.address);
            let mut checking =
                pin!(check::check_servers(nodes, address, &store.settings, &last_failure));
            match deadline {
                None => checking.await?,
                Some(deadline) => {
                    timeout_at(deadline, checking.as_mut()).await.unwrap_or_else(|_| {
                        let cause = last_failure.cause(address);
                        let cause = cause.unwrap_or_else(|| nodes.waits_for());
                        Err(ConnectError::Late { address: address.clone(), cause })
                    })?;
                }
            }
        }
        Ok(store)
    }

    /// The same as [`connect`](Self::connect), but the server may be down, as a node of a
    /// [quorum](crate::store::quorum) may be: the first call opens a connection. Each connection is checked: its server
    /// must be allowed to keep locks, and must not be another node of the quorum. No lock is tried out.
    ///
    /// # Errors
    ///
    /// [`ConnectError::Setting`] and [`ConnectError::Tls`].
    pub fn unconnected(name: &str, settings: RedisSettings) -> Result<Self, ConnectError> {
        let settings = settings.checked()?;
        let address = settings.address();
        let membership = Membership::of(settings.member.clone());
        let nodes = Nodes::new(name, settings.clone(), membership.clone());
        let nodes = nodes.map_err(|cause| ConnectError::Tls { address: address.clone(), cause })?;
        Ok(Self { nodes, membership, settings, address })
    }

    /// Why the only server takes no locks at present; `None` if it takes locks or is not connected.
    pub(super) fn absence(&self) -> Option<String> {
        match &self.nodes {
            Nodes::One(client) => client.connections().absence(),
            Nodes::Cluster(_) => None,
        }
    }

    async fn take(&self, wanted: Wanted<'_>) -> Result<Acquired, Failure> {
        match run!(self.nodes, wanted.key, |server, leg| server.acquire(wanted, leg)) {
            Ok(Some(GrantedLock { left, token })) => Ok(Acquired::Granted(Grant {
                fencing_token: token,
                valid_for: Some(milliseconds(left)),
            })),
            Ok(None) => Ok(Acquired::Held),
            Err(error) => Err(self.failure(error)),
        }
    }

    /// The failure of a command, which names the node of the cluster that failed.
    fn failure(&self, Ended { no_outcome, node }: Ended) -> Failure {
        let address = node.as_ref().unwrap_or(&self.address);
        let about = |cause| format!("redis {address}: {cause}");
        match no_outcome {
            NoOutcome::Elsewhere(_, cause) if node.is_none() => {
                Failure::not_done(about(format!("{cause} ({NEEDS_CLUSTER})")))
            }
            NoOutcome::NotDone(cause) | NoOutcome::Over(cause) | NoOutcome::Elsewhere(_, cause) => {
                Failure::not_done(about(cause))
            }
            NoOutcome::Unknown(cause, lasts) => {
                let until = lasts.and_then(|lasts| SystemTime::now().checked_add(lasts));
                Failure::unknown(about(cause), until)
            }
        }
    }
}

impl fmt::Debug for RedisStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("RedisStore").field(&self.address).finish()
    }
}

impl Store for RedisStore {
    /// Fails with [`Failure::NotDone`] if no connection is open, the server refused the command, or the lock ran out
    /// before the reply came.
    ///
    /// Fails with [`Failure::Unknown`] if no reply came within `readTimeout`, or the connection was lost. `held_until`
    /// is exact if the lock expires at a time of the server's clock, however late the server runs the command. With a
    /// server before Redis 6.2, or one that does not report its clock, it assumes that the server runs the command
    /// before the time to live has passed since it was sent, 30 seconds at most; a server that stalls for longer can
    /// exceed it. A grant without a caller is given back, and no other grant of its owner with it. This needs Redis 7;
    /// otherwise the grant is left to expire.
    fn acquire<'a>(
        &'a self,
        key: &'a str,
        owner: &'a str,
        ttl: Duration,
    ) -> BoxFuture<'a, Result<Acquired, Failure>> {
        Box::pin(async move { self.take(Wanted { key, owner, ttl, token_key: None }).await })
    }

    /// The same as [`acquire`](Self::acquire), but a script numbers the grant in the same step.
    fn acquire_fenced<'a>(
        &'a self,
        key: &'a str,
        owner: &'a str,
        ttl: Duration,
    ) -> BoxFuture<'a, Result<Acquired, Failure>> {
        Box::pin(async move {
            let token_key = fence::token_key(key);
            self.take(Wanted { key, owner, ttl, token_key: Some(&token_key) }).await
        })
    }

    /// Fails with [`Failure::NotDone`] also if no reply came: a token that is raised in vain does no harm.
    fn raise_fencing_token<'a>(
        &'a self,
        key: &'a str,
        at_least: u64,
    ) -> BoxFuture<'a, Result<(), Failure>> {
        Box::pin(async move {
            let token_key = fence::token_key(key);
            let raised =
                run!(self.nodes, key, |server, leg| { server.raise(&token_key, at_least, leg) });
            raised.map_err(|error| self.failure(error))
        })
    }

    /// Fails with [`Failure::NotDone`] if no connection is open, or the server refused the command, and with
    /// [`Failure::Unknown`] if no reply came within `readTimeout`, the connection was lost, or the lock ran out before
    /// the reply came.
    fn extend<'a>(
        &'a self,
        key: &'a str,
        owner: &'a str,
        ttl: Duration,
        may_shorten: bool,
    ) -> BoxFuture<'a, Result<Extended, Failure>> {
        Box::pin(async move {
            let extend = Extend { key, owner, ttl: milliseconds(ttl), may_shorten };
            match run!(self.nodes, key, |server, leg| server.extend(extend, leg)) {
                Ok(extend::Extended::Extended(left)) => Ok(Extended::Extended(milliseconds(left))),
                Ok(extend::Extended::Missing) => Ok(Extended::Gone),
                Ok(extend::Extended::HeldByOther) => Ok(Extended::HeldByOther),
                Err(error) => Err(self.failure(error)),
            }
        })
    }

    /// Fails with [`Failure::NotDone`] if no connection is open, or no reply makes sense.
    fn inspect<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Option<Holding>, Failure>> {
        Box::pin(async move {
            let token_key = fence::token_key(key);
            let holding =
                run!(self.nodes, key, |server, leg| { server.inspect(key, &token_key, leg) });
            let holding = holding.map_err(|error| self.failure(error))?;
            Ok(holding.map(|inspect::Holding { owner, left, fencing_token }| Holding {
                owner,
                time_left: left,
                fencing_token,
            }))
        })
    }

    /// Fails with [`Failure::NotDone`] if no connection is open, or the server refused the command, and with
    /// [`Failure::Unknown`] if no reply came within `readTimeout`, or the connection was lost.
    fn release<'a>(
        &'a self,
        key: &'a str,
        owner: &'a str,
    ) -> BoxFuture<'a, Result<Released, Failure>> {
        Box::pin(async move {
            match run!(self.nodes, key, |server, leg| server.release(key, owner, Form::Short, leg))
            {
                Ok(release::Released::Released) => Ok(Released::Released),
                Ok(release::Released::Missing) => Ok(Released::Missing),
                Ok(release::Released::HeldByOther) => Ok(Released::HeldByOther),
                Err(error) => Err(self.failure(error)),
            }
        })
    }

    /// Uses `SCAN`, for a small part of all keys at a time. Looks at 65,536 keys at most, locks or not, so a page can
    /// have no locks while more follow. Fails with [`Failure::NotDone`] for a cursor that is not the server's.
    fn list<'a>(
        &'a self,
        prefix: &'a str,
        cursor: Option<&'a str>,
        limit: u32,
    ) -> BoxFuture<'a, Result<KeyPage, Failure>> {
        Box::pin(async move {
            if cursor.is_some_and(|cursor| !self.is_cursor(cursor)) {
                return Err(Failure::not_done("the cursor does not come from an earlier page"));
            }
            let pattern = list::pattern(prefix);
            let mut keys = HashMap::new();
            let mut next = cursor.map(str::to_owned);
            for _ in 0..MAX_PARTS {
                let part = self.nodes.list(&pattern, next.as_deref()).await;
                let Part { locks, next: after } = part.map_err(|error| self.failure(error))?;
                // Redis may return a key more than once.
                keys.extend(
                    locks.into_iter().map(|Listed { key, owner, left }| (key, (owner, left))),
                );
                next = after;
                if next.is_none() || keys.len() >= limit as usize {
                    break;
                }
            }
            let held = |(key, (owner, time_left))| HeldKey { key, owner, time_left };
            Ok(KeyPage { keys: keys.into_iter().map(held).collect(), next })
        })
    }

    fn is_cursor(&self, cursor: &str) -> bool {
        self.nodes.is_cursor(cursor)
    }

    /// Fails as [`release`](Self::release) does.
    fn force_release<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Option<String>, Failure>> {
        Box::pin(async move {
            let released = run!(self.nodes, key, |server, leg| server.force_release(key, leg));
            released.map_err(|error| self.failure(error))
        })
    }

    /// Uses client tracking, on a connection that is open as long as a caller watches. Needs Redis 6, and the
    /// permission for `HELLO` and `CLIENT TRACKING`.
    fn watch<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Option<Watched>> {
        Box::pin(self.nodes.watch(key))
    }

    fn describe(&self) -> String {
        self.nodes.describe()
    }

    fn survey(&self) -> BoxFuture<'_, Survey> {
        Box::pin(survey::survey(&self.nodes, &self.settings))
    }

    /// Knows each server by the name in its reply to `INFO`. The first quorum counts.
    fn join_quorum(&self, node: &str, servers: &Arc<Identities>) {
        self.membership.join(node, servers);
        self.nodes.leave_twins();
    }

    /// Waits at most five seconds.
    fn close(&self) -> BoxFuture<'_, ()> {
        Box::pin(self.nodes.close())
    }
}

//! [`RedisStore`].

use std::{
    fmt,
    sync::Arc,
    time::{Duration, SystemTime},
};

use futures_util::future::BoxFuture;
use holdfast_redis_rules::{acquire, late::longest_hold, release};

use super::{
    check::{self, ConnectError},
    client::{Client, NoOutcome},
    settings::RedisSettings,
};
use crate::store::{Acquired, Failure, Grant, Released, Store};

/// A store that keeps its locks in one Redis server.
///
/// A command is sent again only if the server answered that it did nothing. A command whose caller
/// leaves is finished in the background, on the Tokio runtime that [`connect`](Self::connect) ran on,
/// and a lock that it is granted is released.
pub struct RedisStore(Arc<Client>);

impl RedisStore {
    /// Connects to the server, logs in and checks that locks are safe with it. `name` is the
    /// store's, for logs and metrics.
    ///
    /// Must be called in a Tokio runtime with time and I/O enabled. Takes no longer than
    /// [`pool_timeout`](RedisSettings::pool_timeout) and
    /// [`read_timeout`](RedisSettings::read_timeout) together, and retries as the settings say.
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
        let settings = settings.checked()?;
        let address = settings.address();
        let client =
            Client::new(name, settings).map_err(|cause| ConnectError::Tls { address, cause })?;
        // Made before the check, so that dropping this future closes the connections.
        let store = Self(client);
        check::check_server(name, &store.0).await?;
        Ok(store)
    }

    fn not_done(&self, cause: &str) -> Failure {
        Failure::not_done(format!("redis {}: {cause}", self.0.address()))
    }

    fn unknown(&self, cause: &str, held_until: Option<SystemTime>) -> Failure {
        Failure::unknown(format!("redis {}: {cause}", self.0.address()), held_until)
    }
}

impl fmt::Debug for RedisStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("RedisStore").field(&self.0.address()).finish()
    }
}

impl Store for RedisStore {
    /// Fails with [`Failure::NotDone`] if there is no connection, or the server refused the command.
    ///
    /// Fails with [`Failure::Unknown`] if no reply came within `readTimeout`, or the connection was
    /// lost. After the timeout the store goes on waiting for the reply, until the time to live has
    /// passed since the command was sent, 30 seconds at most, and gives back a lock that is granted
    /// in that time. `held_until` assumes that the server runs the command no later than that. A
    /// server that stalls for longer, with the command in its buffers, can exceed it.
    fn acquire<'a>(
        &'a self,
        key: &'a str,
        owner: &'a str,
        ttl: Duration,
    ) -> BoxFuture<'a, Result<Acquired, Failure>> {
        Box::pin(async move {
            match self.0.acquire(key, owner, ttl).await {
                Ok(acquire::Acquired::Granted) => {
                    Ok(Acquired::Granted(Grant { fencing_token: None }))
                }
                Ok(acquire::Acquired::Held) => Ok(Acquired::Held),
                Err(NoOutcome::Refused(cause)) => Err(self.not_done(&cause)),
                Err(NoOutcome::Late(cause, sent)) => {
                    let longest = longest_hold(ttl, sent.elapsed());
                    Err(self.unknown(&cause, SystemTime::now().checked_add(longest)))
                }
                Err(NoOutcome::Lost(cause)) => {
                    Err(self.unknown(&cause, SystemTime::now().checked_add(ttl)))
                }
            }
        })
    }

    /// Fails with [`Failure::NotDone`] if there is no connection, or the server refused the command,
    /// and with [`Failure::Unknown`] if no reply came within `readTimeout`, or the connection was
    /// lost.
    fn release<'a>(
        &'a self,
        key: &'a str,
        owner: &'a str,
    ) -> BoxFuture<'a, Result<Released, Failure>> {
        Box::pin(async move {
            match self.0.release(key, owner).await {
                Ok(release::Released::Released) => Ok(Released::Released),
                Ok(release::Released::Missing) => Ok(Released::Missing),
                Ok(release::Released::HeldByOther) => Ok(Released::HeldByOther),
                Err(NoOutcome::Refused(cause)) => Err(self.not_done(&cause)),
                Err(NoOutcome::Late(cause, _) | NoOutcome::Lost(cause)) => {
                    Err(self.unknown(&cause, None))
                }
            }
        })
    }

    /// Waits five seconds at most.
    fn close(&self) -> BoxFuture<'_, ()> {
        Box::pin(self.0.close())
    }
}

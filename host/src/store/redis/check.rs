//! Checks a server once, before locks are kept in it.

use holdfast_redis_rules::fitness::{
    ASK_EVICTION, ASK_REPLICATION, Replicated, check_replication, may_evict,
};
use redis::{RedisError, from_redis_value};

use super::{
    client::Client,
    connection::{Connection, command},
    failure,
    settings::RedisSetterError,
};

/// Why a Redis store cannot be used. Names the server, never a password.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// A setter of [`RedisSettings`](super::RedisSettings) was given a value that cannot be used.
    #[error(transparent)]
    Setting(#[from] RedisSetterError),
    /// TLS could not be set up: the client certificate does not match its key, no certificate can name
    /// the host, or this system has no trusted certificates.
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
        /// What went wrong in the last attempt.
        cause: String,
    },
    /// The server has replicas. A failover to one of them can lose a lock.
    #[error("redis {address}: {}", Replicated { replicas: *replicas })]
    Replicated {
        /// The server's `host:port`.
        address: String,
        /// How many replicas are connected.
        replicas: u64,
    },
}

/// Connects, and refuses a server that can lose locks. `name` is the store's, for the log.
pub(super) async fn check_server(name: &str, client: &Client) -> Result<(), ConnectError> {
    let address = client.address();
    let unreachable = |cause| ConnectError::Unreachable { address: address.to_owned(), cause };
    let (place, _permit) = client.connections().take().await.map_err(unreachable)?;
    let questions = async {
        let replication = replication(place.connection()).await?;
        Ok::<_, RedisError>((replication, eviction(place.connection()).await))
    };
    let (replication, policy) = client
        .within_read_timeout(questions)
        .await
        .ok_or_else(|| unreachable(client.no_reply()))?
        .map_err(|error| unreachable(failure::describe(&error)))?;
    if let Some(policy) = policy {
        let (store, redis) = (name, address);
        tracing::warn!(
            store,
            redis,
            policy,
            "the server may evict locks before they expire: set its maxmemory-policy to noeviction"
        );
    }
    check_replication(&replication).map_err(|Replicated { replicas }| ConnectError::Replicated {
        address: address.to_owned(),
        replicas,
    })
}

/// The server's answer about its replicas; empty if it refuses the question.
async fn replication(connection: &Connection) -> Result<String, RedisError> {
    match connection.send(&command(&ASK_REPLICATION)).await {
        Ok(reply) => Ok(from_redis_value(reply).unwrap_or_default()),
        Err(error) if error.code().is_some() => Ok(String::new()),
        Err(error) => Err(error),
    }
}

/// The server's `maxmemory-policy`, if it lets the server delete locks before they expire.
async fn eviction(connection: &Connection) -> Option<String> {
    // Only a warning depends on the answer, so a refusal is ignored.
    let reply = connection.send(&command(&ASK_EVICTION)).await.ok()?;
    let pairs: Vec<String> = from_redis_value(reply).ok()?;
    pairs.into_iter().nth(1).filter(|policy| may_evict(policy))
}

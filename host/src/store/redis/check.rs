//! What is asked of a server once, before locks are trusted to it, and why it is not.

use redis::{RedisError, Value, from_redis_value};

use super::{Inner, connection::Connection, failure, no_reply, within};

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

/// Connects, and asks the server what speaks against it.
pub(super) async fn trust(name: &str, store: &Inner) -> Result<(), ConnectError> {
    let Inner { address, settings, .. } = store;
    let unreachable = |cause| ConnectError::Unreachable { address: address.clone(), cause };
    let (place, _room) = store.connections.take().await.map_err(unreachable)?;
    let questions = async {
        let replicas = replicas(place.connection()).await?;
        Ok::<_, RedisError>((replicas, eviction(place.connection()).await))
    };
    let (replicas, policy) = within(settings.read_timeout, questions)
        .await
        .ok_or_else(|| unreachable(no_reply(settings)))?
        .map_err(|error| unreachable(failure::describe(&error)))?;
    if let Some(policy) = policy {
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
        Some(replicas) => Err(ConnectError::Replicated { address: address.clone(), replicas }),
    }
}

/// How many replicas follow this server; `None` where it will not say.
async fn replicas(connection: &Connection) -> Result<Option<u64>, RedisError> {
    let mut info = redis::cmd("INFO");
    match connection.send(info.arg("replication")).await {
        Ok(reply) => Ok(field(&text(reply), "connected_slaves").and_then(|n| n.parse().ok())),
        Err(error) if error.code().is_some() => Ok(None),
        Err(error) => Err(error),
    }
}

/// The server's `maxmemory-policy`, where that lets it throw a lock away before its time.
async fn eviction(connection: &Connection) -> Option<String> {
    let mut get = redis::cmd("CONFIG");
    get.arg("GET").arg("maxmemory-policy");
    // A server that does not let its clients ask is none the worse for it.
    let reply = connection.send(&get).await.ok()?;
    let pairs: Vec<String> = from_redis_value(reply).ok()?;
    pairs.into_iter().nth(1).filter(|policy| policy != "noeviction")
}

fn text(reply: Value) -> String {
    from_redis_value(reply).unwrap_or_default()
}

fn field<'a>(info: &'a str, name: &str) -> Option<&'a str> {
    info.lines()
        .filter_map(|line| line.split_once(':'))
        .find_map(|(key, value)| (key == name).then_some(value.trim()))
}

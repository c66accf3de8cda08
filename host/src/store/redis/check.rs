//! What is asked of a server once, before locks are trusted to it.

use redis::{RedisError, Value, from_redis_value};

use super::connection::Connection;

/// How many replicas follow this server; `None` where it will not say.
pub(super) async fn replicas(connection: &Connection) -> Result<Option<u64>, RedisError> {
    let mut info = redis::cmd("INFO");
    match connection.send(info.arg("replication")).await {
        Ok(reply) => Ok(field(&text(reply), "connected_slaves").and_then(|n| n.parse().ok())),
        Err(error) if error.code().is_some() => Ok(None),
        Err(error) => Err(error),
    }
}

/// The server's `maxmemory-policy`, where that lets it throw a lock away before its time.
pub(super) async fn eviction(connection: &Connection) -> Option<String> {
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

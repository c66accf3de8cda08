//! A quorum of redis-servers.

use std::{sync::Arc, time::Duration};

use holdfast::store::{
    quorum::{Node, QuorumSettings, QuorumStore},
    redis::{RedisSettings, RedisStore},
};

use crate::{STORE, redis_server::RedisServer};

/// The library's store over these servers. With `rejoin_after`, a server takes no locks until that time has passed
/// since it started.
///
/// # Panics
///
/// When the servers cannot be a quorum.
pub fn over(
    servers: &[&RedisServer],
    longest_ttl: Duration,
    rejoin_after: Option<Duration>,
) -> QuorumStore {
    let nodes = servers.iter().map(|server| {
        let settings = RedisSettings::new("127.0.0.1")
            .port(server.port())
            .retries(0)
            .dial_timeout(Duration::from_secs(1))
            .read_timeout(Duration::from_secs(1))
            .retry_interval(Duration::from_millis(10), Duration::from_millis(50))
            .rejoin_after(rejoin_after);
        let node = RedisStore::unconnected(STORE, settings).expect("valid settings");
        Node::new(server.address(), Arc::new(node))
    });
    // A busy machine is slow.
    let patience = Duration::from_secs(2).min(longest_ttl);
    let settings = QuorumSettings::new().longest_ttl(longest_ttl).node_timeout(patience);
    QuorumStore::new(STORE, nodes.collect(), settings).expect("a quorum")
}

//! Which servers are not safe for locks, by what they say of themselves.

use alloc::{borrow::ToOwned, string::String, vec::Vec};
use core::{error::Error, fmt};

/// The words that ask a server to describe itself.
pub const ASK: [&str; 1] = ["INFO"];

/// Why locks cannot be kept in a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unfit {
    /// It has this many replicas. A failover to one of them can lose a lock.
    Replicated(u64),
    /// It is a replica itself.
    Replica,
    /// It is a node of a cluster, which keeps only a part of the keys.
    ClusterNode,
    /// A proxy leads to it on connections that clients share, so the database may change at any moment.
    SharedDatabase,
}

/// Why locks in a server may end before their time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Doubt {
    /// The server may evict them, by its `maxmemory-policy`.
    Eviction(String),
    /// A restart of the server forgets some or all of them.
    NotPersistent,
}

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Replicated(replicas) => write!(
                f,
                "replication is not supported: the server has {replicas} connected replica(s), and a \
                 failover to one could lose a lock"
            ),
            Self::Replica => f.write_str("the server is a replica, which cannot take locks"),
            Self::ClusterNode => f.write_str(
                "the server is a node of a Redis Cluster, which this version does not support",
            ),
            Self::SharedDatabase => {
                f.write_str("a proxy is in front, and may change the database: leave redisDB out")
            }
        }
    }
}

impl Error for Unfit {}

impl fmt::Display for Doubt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Eviction(policy) => write!(
                f,
                "the server may evict locks before they expire (its maxmemory-policy is {policy}): set \
                 maxmemory-policy to noeviction"
            ),
            Self::NotPersistent => f.write_str(
                "a restart of the server can lose locks: it keeps no append-only file (set appendonly to \
                 yes)",
            ),
        }
    }
}

/// Reads the reply to [`ASK`]: what else is known of a server that may keep locks in the database `db`. A
/// server that does not say is accepted.
///
/// # Errors
///
/// [`Unfit`] for a server that may not keep locks.
pub fn check(info: &str, db: u32) -> Result<Vec<Doubt>, Unfit> {
    let field = |name| field(info, name);
    match (is_of_a_proxy(info), field("cluster_enabled")) {
        (true, _) if db != 0 => return Err(Unfit::SharedDatabase),
        (false, Some("1")) => return Err(Unfit::ClusterNode),
        // Envoy says that it is a node, whatever it leads to.
        _ => {}
    }
    if field("role") == Some("slave") {
        return Err(Unfit::Replica);
    }
    match field("connected_slaves").and_then(|count| count.parse().ok()) {
        None | Some(0) => {}
        Some(replicas) => return Err(Unfit::Replicated(replicas)),
    }
    let evicts = field("maxmemory_policy").filter(|policy| *policy != "noeviction");
    let forgets = field("aof_enabled").filter(|enabled| *enabled == "0");
    let doubts = [
        evicts.map(|policy| Doubt::Eviction(policy.to_owned())),
        forgets.map(|_| Doubt::NotPersistent),
    ];
    Ok(doubts.into_iter().flatten().collect())
}

/// Whether a proxy made this reply to [`ASK`] of those of its servers, as Envoy does. A server tells its role.
/// Such a proxy may answer other questions itself too, with its own clock for example.
pub fn is_of_a_proxy(info: &str) -> bool {
    field(info, "role").is_none()
}

fn field<'a>(info: &'a str, name: &str) -> Option<&'a str> {
    let value = |line: &'a str| Some(line.strip_prefix(name)?.strip_prefix(':')?.trim());
    info.lines().find_map(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_that_can_lose_locks_are_refused() {
        for (info, unfit) in [
            ("# Replication\r\nrole:master\r\nconnected_slaves:2\r\nx:1\r\n", Unfit::Replicated(2)),
            ("role:slave\r\nmaster_host:h\r\nconnected_slaves:0\r\n", Unfit::Replica),
            ("role:master\r\n# Cluster\r\ncluster_enabled:1\r\n", Unfit::ClusterNode),
        ] {
            assert_eq!(check(info, 0), Err(unfit), "{info}");
        }
        for info in ["connected_slaves:0\r\ncluster_enabled:0\r\n", "connected_slaves:many", ""] {
            assert_eq!(check(info, 0), Ok(Vec::new()), "{info:?}");
        }
    }

    #[test]
    fn a_proxy_is_no_node_of_a_cluster_though_it_says_so() {
        let envoy =
            "redis_version:7.0.15\r\nredis_mode:cluster\r\n# Cluster\r\ncluster_enabled:1\r\n";
        assert!(is_of_a_proxy(envoy));
        assert_eq!(check(envoy, 0), Ok(Vec::new()));
        assert_eq!(check(envoy, 3), Err(Unfit::SharedDatabase));
        assert!(!is_of_a_proxy("redis_mode:cluster\r\nrole:master\r\ncluster_enabled:1\r\n"));
    }

    #[test]
    fn servers_that_may_lose_locks_are_doubted() {
        let safe = "maxmemory_policy:noeviction\r\naof_enabled:1\r\n";
        assert_eq!(check(safe, 0), Ok(Vec::new()));
        let doubts = check("maxmemory_policy:allkeys-lru\r\naof_enabled:0\r\n", 0).unwrap();
        assert_eq!(doubts, [Doubt::Eviction("allkeys-lru".to_owned()), Doubt::NotPersistent]);
    }
}

//! Which servers are not safe for locks, by their own description.

use alloc::{borrow::ToOwned, string::String, vec::Vec};
use core::{error::Error, fmt};

/// The words that ask a server to describe itself.
pub const ASK: [&str; 1] = ["INFO"];

/// The required role and database of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Expected {
    /// The server's role among others.
    pub role: Role,
    /// The number of the database that keeps the locks.
    pub db: u32,
}

/// A server's role among others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The server has no replicas.
    Alone,
    /// The server may have replicas. One of them may take its place.
    Master {
        /// Whether a lock counts as taken only if some of them have it.
        guarded: bool,
    },
    /// The server is a master of a cluster.
    ClusterMaster {
        /// Whether a lock counts as taken only if some of its replicas have it.
        guarded: bool,
    },
}

/// Why locks cannot be kept in a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unfit {
    /// The server has this many replicas. A failover to one of them can lose a lock.
    Replicated(u64),
    /// The server is a replica itself.
    Replica,
    /// The server is a node of a cluster, which keeps only a part of the keys.
    ClusterNode,
    /// The server is not a node of a cluster.
    NotClusterNode,
    /// The server is a Redis Sentinel, which keeps no keys.
    Sentinel,
    /// A proxy leads to the server on connections that clients share, so the database may change at any moment.
    SharedDatabase,
}

impl Unfit {
    /// Whether a later connection may be fit: a replica may be promoted, or the address may lead to another server by
    /// then.
    pub fn may_pass(self) -> bool {
        self == Self::Replica
    }
}

/// Why locks in a server may end before their time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Doubt {
    /// The server may evict them, by its `maxmemory-policy`.
    Eviction(String),
    /// A restart of the server forgets some or all of them.
    NotPersistent,
    /// The locks are not on the server's disk when they are taken. Carries its `appendfsync`.
    OnDiskLater(String),
    /// The server does not describe itself, for this reason.
    Silent(String),
    /// A replica that takes the place of the server may lack the latest locks.
    Failover,
}

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Replicated(replicas) => write!(
                f,
                "the server has {replicas} connected replica{}, and a failover to one could lose a lock: \
                 set failover if Redis Sentinel names the server, or set minReplicas to the number of \
                 replicas that must have a lock",
                if *replicas == 1 { "" } else { "s" }
            ),
            Self::Replica => f.write_str("the server is a replica, which cannot take locks"),
            Self::ClusterNode => f.write_str(
                "the server is a node of a Redis Cluster, and keeps only a part of the keys: set redisType \
                 to cluster",
            ),
            Self::NotClusterNode => {
                f.write_str("redisType is cluster, and the server is not a node of a Redis Cluster")
            }
            Self::Sentinel => f.write_str(
                "the server is a Redis Sentinel, which keeps no locks: set failover to true and \
                 sentinelMasterName to the name of the master",
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
            Self::OnDiskLater(policy) => write!(
                f,
                "a crash of the server or its machine can lose the locks that were taken just before: its \
                 appendfsync is {policy} (set appendfsync to always, and no-appendfsync-on-rewrite to no)"
            ),
            Self::Silent(reason) => write!(
                f,
                "the server does not describe itself ({reason}): whether it has replicas, is a replica or a \
                 node of a cluster, may evict locks, or forgets them in a restart, is not known"
            ),
            Self::Failover => f.write_str(
                "a failover can lose a lock that was just taken: set minReplicas to the number of replicas \
                 that must have a lock",
            ),
        }
    }
}

/// Reads the reply to [`ASK`], and returns the doubts about a server that may keep locks. A server that does not
/// describe itself is accepted.
///
/// # Errors
///
/// [`Unfit`] for a server that may not keep locks.
pub fn check(info: &str, expected: Expected) -> Result<Vec<Doubt>, Unfit> {
    let Expected { role, db } = expected;
    let field = |name| field(info, name);
    let of_a_cluster = matches!(role, Role::ClusterMaster { .. });
    if field("redis_mode") == Some("sentinel") {
        return Err(Unfit::Sentinel);
    }
    match (is_of_a_proxy(info), field("cluster_enabled")) {
        (true, _) if db != 0 => return Err(Unfit::SharedDatabase),
        (false, Some("1")) if !of_a_cluster => return Err(Unfit::ClusterNode),
        (false, Some("0")) if of_a_cluster => return Err(Unfit::NotClusterNode),
        // Envoy says that it is a node, whatever server it leads to.
        _ => {}
    }
    if field("role") == Some("slave") {
        return Err(Unfit::Replica);
    }
    let replicas = field("connected_slaves").and_then(|count| count.parse().ok()).unwrap_or(0);
    if role == Role::Alone && replicas > 0 {
        return Err(Unfit::Replicated(replicas));
    }
    let unguarded =
        matches!(role, Role::Master { guarded: false } | Role::ClusterMaster { guarded: false });
    let evicts = field("maxmemory_policy").filter(|policy| *policy != "noeviction");
    let forgets = field("aof_enabled").filter(|enabled| *enabled == "0");
    let doubts = [
        evicts.map(|policy| Doubt::Eviction(policy.to_owned())),
        forgets.map(|_| Doubt::NotPersistent),
        (unguarded && replicas > 0).then_some(Doubt::Failover),
    ];
    Ok(doubts.into_iter().flatten().collect())
}

/// The replicas that a server lists in its reply to [`ASK`]: the host, the port and the state of each.
pub fn replicas(info: &str) -> impl Iterator<Item = (&str, u16, &str)> {
    info.lines().filter_map(|line| {
        let (name, about) = line.trim().split_once(':')?;
        name.strip_prefix("slave")?.parse::<u32>().ok()?;
        let field = |name: &str| {
            about.split(',').find_map(|field| field.strip_prefix(name)?.strip_prefix('='))
        };
        Some((field("ip")?, field("port")?.parse().ok()?, field("state")?))
    })
}

/// Whether a proxy composed this INFO reply to [`ASK`] from the replies of its servers, as Envoy does. A server reports
/// its role, unless it is a sentinel. Such a proxy may answer other questions itself too, for example with its own
/// clock.
pub fn is_of_a_proxy(info: &str) -> bool {
    field(info, "role").is_none()
}

/// The value of a field of `INFO`.
pub fn field<'a>(info: &'a str, name: &str) -> Option<&'a str> {
    let value = |line: &'a str| Some(line.strip_prefix(name)?.strip_prefix(':')?.trim());
    info.lines().find_map(value)
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::*;

    fn check(info: &str, db: u32) -> Result<Vec<Doubt>, Unfit> {
        super::check(info, Expected { role: Role::Alone, db })
    }

    #[test]
    fn a_master_may_have_replicas() {
        let info = "role:master\r\nconnected_slaves:2\r\ncluster_enabled:0\r\n";
        let check = |role, info| super::check(info, Expected { role, db: 3 });
        assert_eq!(check(Role::Master { guarded: true }, info), Ok(Vec::new()));
        assert_eq!(check(Role::Master { guarded: false }, info), Ok(vec![Doubt::Failover]));
        let cluster = Role::ClusterMaster { guarded: false };
        assert_eq!(check(cluster, info), Err(Unfit::NotClusterNode));
        let node = "role:master\r\nconnected_slaves:1\r\ncluster_enabled:1\r\n";
        assert_eq!(check(cluster, node), Ok(vec![Doubt::Failover]));
        assert_eq!(check(Role::Master { guarded: true }, node), Err(Unfit::ClusterNode));
        for role in [Role::Master { guarded: true }, cluster] {
            assert_eq!(check(role, "role:slave\r\n"), Err(Unfit::Replica));
        }
    }

    #[test]
    fn replicas_are_reported() {
        let info = "role:master\r\nconnected_slaves:2\r\n\
                    slave0:ip=10.0.0.2,port=6379,state=online,offset=14,lag=0\r\n\
                    slave1:ip=::1,port=6380,state=wait_bgsave,offset=0,lag=0,type=main\r\n\
                    slave_read_only:1\r\nslave2:nonsense\r\n";
        let told: Vec<_> = replicas(info).collect();
        assert_eq!(told, [("10.0.0.2", 6379, "online"), ("::1", 6380, "wait_bgsave")]);
    }

    #[test]
    fn servers_that_can_lose_locks_are_refused() {
        for (info, unfit) in [
            ("# Replication\r\nrole:master\r\nconnected_slaves:2\r\nx:1\r\n", Unfit::Replicated(2)),
            ("role:slave\r\nmaster_host:h\r\nconnected_slaves:0\r\n", Unfit::Replica),
            ("role:master\r\n# Cluster\r\ncluster_enabled:1\r\n", Unfit::ClusterNode),
            ("redis_mode:sentinel\r\n# Sentinel\r\nsentinel_masters:1\r\n", Unfit::Sentinel),
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

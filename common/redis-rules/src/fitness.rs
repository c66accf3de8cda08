//! Which servers are not safe for locks.

use core::{error::Error, fmt};

/// The words that ask a server for its replicas.
pub const ASK_REPLICATION: [&str; 2] = ["INFO", "replication"];

/// The words that ask a server what it does when its memory is full.
pub const ASK_EVICTION: [&str; 3] = ["CONFIG", "GET", "maxmemory-policy"];

/// The server has replicas. A failover to one of them can lose a lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Replicated {
    /// How many replicas are connected.
    pub replicas: u64,
}

impl fmt::Display for Replicated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "replication is not supported: the server has {} connected replica(s), and a failover to \
             one could lose a lock",
            self.replicas
        )
    }
}

impl Error for Replicated {}

/// Reads the reply to [`ASK_REPLICATION`]. A server that does not name its replicas is accepted.
///
/// # Errors
///
/// [`Replicated`] for a server with replicas.
pub fn check_replication(info: &str) -> Result<(), Replicated> {
    let count = info.lines().find_map(|line| line.strip_prefix("connected_slaves:"));
    match count.and_then(|count| count.trim().parse().ok()) {
        None | Some(0) => Ok(()),
        Some(replicas) => Err(Replicated { replicas }),
    }
}

/// Whether a server with this `maxmemory-policy` may delete locks before they expire.
pub fn may_evict(policy: &str) -> bool {
    policy != "noeviction"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replicas_are_refused() {
        let info = "# Replication\r\nrole:master\r\nconnected_slaves:2\r\nx:1\r\n";
        assert_eq!(check_replication(info), Err(Replicated { replicas: 2 }));
        for info in ["connected_slaves:0\r\n", "role:slave\r\n", "connected_slaves:many\r\n", ""] {
            assert_eq!(check_replication(info), Ok(()), "{info:?}");
        }
    }

    #[test]
    fn only_one_policy_keeps_locks() {
        assert!(!may_evict("noeviction"));
        assert!(may_evict("allkeys-lru"));
    }
}

//! Why a store in Redis cannot be used.

use holdfast_redis_rules::{fitness::Unfit, refusal::RefusedLogin};

use super::settings::RedisSetterError;

/// Why a Redis store cannot be used. Names the server, never a password.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// A setter of [`RedisSettings`](super::RedisSettings) got a value that cannot be used.
    #[error(transparent)]
    Setting(#[from] RedisSetterError),
    /// TLS could not be set up: the client certificate does not match its key, no certificate can name
    /// the host, or this system has no trusted certificates.
    #[error("redis {address}: {cause}")]
    Tls {
        /// The server's `host:port`.
        address: String,
        /// The problem.
        cause: String,
    },
    /// The server could not be reached, did not answer in time, or refused the login.
    #[error("redis {address}: {cause}")]
    Unreachable {
        /// The server's `host:port`.
        address: String,
        /// The error of the last attempt.
        cause: String,
        /// How the server refused the login, if it did. With several servers: one of their refusals.
        login: Option<RefusedLogin>,
    },
    /// The time was over before the store was connected.
    #[error("redis {address}: {cause}")]
    Late {
        /// The `host:port` of each server of the settings.
        address: String,
        /// The error of the last attempt, or the step that did not end.
        cause: String,
    },
    /// The server has replicas. A failover to one of them can lose a lock.
    #[error("redis {address}: {}", Unfit::Replicated(*replicas))]
    Replicated {
        /// The server's `host:port`.
        address: String,
        /// How many replicas are connected.
        replicas: u64,
    },
    /// The server cannot keep locks: it is a replica, or a node of a cluster, or behind a proxy that may change the
    /// database, or another server of the quorum as well, or it refuses the commands of a lock.
    #[error("redis {address}: {cause}")]
    Unfit {
        /// The server's `host:port`.
        address: String,
        /// The problem.
        cause: String,
    },
}

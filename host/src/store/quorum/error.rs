//! Why stores cannot be a quorum.

use std::time::Duration;

/// Why stores cannot be a quorum.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum QuorumError {
    /// The quorum has too few nodes, or an even number of them, which is not safer than one less.
    #[error("a quorum needs an odd number of nodes, at least 3; got {0}")]
    NodeCount(usize),
    /// Two nodes have the same name. A server that counts twice could form a false majority.
    #[error("node {0} is listed twice: the nodes of a quorum must be different servers")]
    NodeNamedTwice(String),
    /// [`QuorumSettings::node_timeout`](super::QuorumSettings::node_timeout) is 0, or longer than the longest time to
    /// live.
    #[error(
        "the time that a node is given is {0:?}: it must be more than 0, and no longer than the longest time to live"
    )]
    NodeTimeout(Duration),
    /// The caller is not in a Tokio runtime.
    #[error("a quorum must be made in a Tokio runtime")]
    NoRuntime,
}

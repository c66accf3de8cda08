//! The parts of a quorum: its nodes, and its times.

use std::{collections::HashSet, sync::Arc, time::Duration};

use super::error::QuorumError;
use crate::store::Store;

/// The shortest time that a node has for an answer, unless the setting is shorter: a few round trips to another
/// continent.
const SHORTEST_PATIENCE: Duration = Duration::from_millis(100);

/// A store that is a node of a quorum.
pub struct Node {
    pub(super) name: String,
    pub(super) store: Arc<dyn Store>,
}

impl Node {
    /// A node. `name` is for messages and metrics, and must be unique within the quorum, such as the `host:port` of
    /// the node's server.
    pub fn new(name: impl Into<String>, store: Arc<dyn Store>) -> Self {
        Self { name: name.into(), store }
    }
}

/// The times of a quorum.
///
/// | setter | default | meaning |
/// |---|---|---|
/// | [`node_timeout`](Self::node_timeout) | 500 ms | how long to wait for a node at most |
/// | [`longest_ttl`](Self::longest_ttl) | 60 s | the longest time to live of a lock |
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QuorumSettings {
    pub(super) node_timeout: Duration,
    pub(super) longest_ttl: Duration,
}

impl Default for QuorumSettings {
    fn default() -> Self {
        Self { node_timeout: Duration::from_millis(500), longest_ttl: Duration::from_secs(60) }
    }
}

impl QuorumSettings {
    /// The defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// How long to wait for a node at most: more than 0, and no longer than the longest time to live. A call about a
    /// short lock waits no longer than a tenth of its time to live, but at least 100 ms, so that most of the time is
    /// left for the work. Default: 500 ms.
    #[must_use]
    pub fn node_timeout(mut self, limit: Duration) -> Self {
        self.node_timeout = limit;
        self
    }

    /// The longest time to live of a lock, `quorumMaxTtl` in component files. A longer time is refused. A node that has
    /// lost its data must stay out for this time. Default: 60 s.
    #[must_use]
    pub fn longest_ttl(mut self, ttl: Duration) -> Self {
        self.longest_ttl = ttl;
        self
    }

    /// Checks that these nodes make a quorum with these settings.
    pub(super) fn check(&self, nodes: &[Node]) -> Result<(), QuorumError> {
        if nodes.len() < 3 || nodes.len().is_multiple_of(2) {
            return Err(QuorumError::NodeCount(nodes.len()));
        }
        let mut names = HashSet::new();
        if let Some(node) = nodes.iter().find(|node| !names.insert(&node.name)) {
            return Err(QuorumError::NodeNamedTwice(node.name.clone()));
        }
        if self.node_timeout.is_zero() || self.node_timeout > self.longest_ttl {
            return Err(QuorumError::NodeTimeout(self.node_timeout));
        }
        Ok(())
    }

    /// How long to wait for the nodes in a call about a lock of this time to live.
    pub(super) fn patience(&self, ttl: Duration) -> Duration {
        let shortest = SHORTEST_PATIENCE.min(self.node_timeout);
        (ttl / 10).clamp(shortest, self.node_timeout).min(ttl)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::memory::MemoryStore;

    fn nodes(names: &[&str]) -> Vec<Node> {
        names.iter().map(|name| Node::new(*name, Arc::new(MemoryStore::new()))).collect()
    }

    #[test]
    fn an_invalid_quorum_is_refused() {
        let settings = QuorumSettings::new();
        for names in [&[][..], &["a"], &["a", "b"], &["a", "b", "c", "d"]] {
            let error = settings.check(&nodes(names)).unwrap_err();
            assert_eq!(error, QuorumError::NodeCount(names.len()));
        }
        let error = settings.check(&nodes(&["a", "b", "a"])).unwrap_err();
        assert_eq!(error, QuorumError::NodeNamedTwice("a".to_owned()));
        for limit in [Duration::ZERO, Duration::from_secs(61)] {
            let settings = settings.clone().node_timeout(limit);
            let error = settings.check(&nodes(&["a", "b", "c"])).unwrap_err();
            assert_eq!(error, QuorumError::NodeTimeout(limit));
        }
        assert_eq!(settings.check(&nodes(&["a", "b", "c"])), Ok(()));
        assert_eq!(settings.check(&nodes(&["a", "b", "c", "d", "e"])), Ok(()));
    }

    #[test]
    fn a_node_gets_a_small_part_of_the_time_to_live() {
        let ms = Duration::from_millis;
        let settings = QuorumSettings::new();
        for (ttl, expected) in [(60_000, 500), (3_000, 300), (400, 100), (20, 20), (u64::MAX, 500)]
        {
            assert_eq!(settings.patience(ms(ttl)), ms(expected), "{ttl}");
        }
        let quick = settings.node_timeout(ms(5));
        assert_eq!(quick.patience(ms(60_000)), ms(5));
    }
}

//! The requests of a VM that want the same lock, in the order in which they came.
//!
//! Only the first of them asks Holdfast. The others wait here, so that the VM has one call for a lock at a time, and
//! gives the lock to the request that came first.

use alloc::{collections::BTreeMap, string::String};

use crate::host::ContextId;

/// A lock: its store and its resource.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    /// The lock store.
    pub store: String,
    /// The resource.
    pub resource: String,
}

/// The state of the lock, as far as the VM knows it, while requests want the lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Front {
    /// No request has its turn.
    Nobody,
    /// A request asks for the lock.
    Asking {
        /// Whether the server waits until the lock is free.
        waits: bool,
    },
    /// A request holds the lock.
    Holding,
    /// The lock is being released.
    Releasing,
}

/// The line for a lock.
#[derive(Debug)]
pub struct Line {
    /// The state of the lock, as far as the VM knows it.
    pub front: Front,
    /// Whether the latest try ended without a verdict.
    pub in_doubt: bool,
    /// Whether a request may have run out of time while it waits because [more is known soon](Self::is_known_soon).
    pub overdue: bool,
    waiting: BTreeMap<u64, ContextId>,
}

impl Line {
    /// A line without requests.
    pub fn new() -> Self {
        Self { front: Front::Nobody, in_doubt: false, overdue: false, waiting: BTreeMap::new() }
    }

    /// Adds a request at the end. `place` must be larger than every earlier place.
    pub fn join(&mut self, place: u64, request: ContextId) {
        self.waiting.insert(place, request);
    }

    /// How many requests want the lock and do not hold it: those that wait, and the one that asks.
    pub fn crowd(&self) -> u64 {
        let asks = matches!(self.front, Front::Asking { .. });
        self.waiting.len() as u64 + u64::from(asks)
    }

    /// Whether the holder of the lock is known soon. Until then no request in the line is turned away: even a request
    /// without `wait` waits until then.
    pub fn is_known_soon(&self) -> bool {
        matches!(self.front, Front::Asking { waits: false } | Front::Releasing)
    }

    /// Takes the first request out.
    pub fn pop(&mut self) -> Option<ContextId> {
        self.waiting.pop_first().map(|(_, request)| request)
    }

    /// Takes a request out.
    pub fn leave(&mut self, place: u64) {
        self.waiting.remove(&place);
    }

    /// The waiting requests, in their order.
    pub fn waiting(&self) -> impl Iterator<Item = ContextId> {
        self.waiting.values().copied()
    }
}

impl Default for Line {
    fn default() -> Self {
        Self::new()
    }
}

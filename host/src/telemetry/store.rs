//! What is counted of one store.

use std::time::Duration;

use metrics::Histogram;
use tokio::time::Instant;

use super::{calls::Calls, definitions::STORE_OPERATION, holds::Holds};

/// The handles of one store's metrics, made once.
pub(crate) struct StoreMetrics {
    pub(crate) calls: Calls,
    acquire_seconds: Histogram,
    release_seconds: Histogram,
    holds: Holds,
}

impl StoreMetrics {
    pub(crate) fn new(store: &str) -> Self {
        Self {
            calls: Calls::new(store),
            acquire_seconds: STORE_OPERATION.histogram(&[store, "acquire"]),
            release_seconds: STORE_OPERATION.histogram(&[store, "release"]),
            holds: Holds::new(store),
        }
    }

    pub(crate) fn acquire_took(&self, time: Duration) {
        self.acquire_seconds.record(time);
    }

    pub(crate) fn release_took(&self, time: Duration) {
        self.release_seconds.record(time);
    }

    /// The lock is held since then, and whoever took it knows.
    pub(crate) fn hold_begins(&self, key: &str, owner: &str, since: Instant, ttl: Duration) {
        self.holds.begin(key, owner, since, ttl);
    }

    pub(crate) fn hold_ends(&self, key: &str, owner: &str, now: Instant) {
        self.holds.end(key, owner, now);
    }
}

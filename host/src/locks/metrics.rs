//! The metrics of one store's calls and operations.

use std::time::Duration;

use ::metrics::Histogram;

use super::{calls::CallCounters, holds::Holds};
use crate::metrics::{OperationLabels, STORE_OPERATION};

/// The handles of one store's metrics.
pub(super) struct StoreMetrics {
    pub(super) calls: CallCounters,
    pub(super) holds: Holds,
    acquire_seconds: Histogram,
    release_seconds: Histogram,
    extend_seconds: Histogram,
    inspect_seconds: Histogram,
}

impl StoreMetrics {
    pub(super) fn new(store: &str) -> Self {
        let seconds = |operation| STORE_OPERATION.with(OperationLabels { store, operation });
        Self {
            calls: CallCounters::new(store),
            holds: Holds::new(store),
            acquire_seconds: seconds("acquire"),
            release_seconds: seconds("release"),
            extend_seconds: seconds("extend"),
            inspect_seconds: seconds("inspect"),
        }
    }

    /// Records how long an acquire took.
    pub(super) fn acquire_took(&self, time: Duration) {
        self.acquire_seconds.record(time);
    }

    /// Records how long an extension took.
    pub(super) fn extend_took(&self, time: Duration) {
        self.extend_seconds.record(time);
    }

    /// Records how long a look at a lock took.
    pub(super) fn inspect_took(&self, time: Duration) {
        self.inspect_seconds.record(time);
    }

    /// Records how long a release took.
    pub(super) fn release_took(&self, time: Duration) {
        self.release_seconds.record(time);
    }
}

//! The metrics of one store's calls and operations.

use std::time::Duration;

use ::metrics::{Counter, Histogram};

use super::{calls::CallCounters, hold_times::HoldTimer};
use crate::metrics::{LEASES_LOST, LostLabels, OperationLabels, STORE_OPERATION};

/// The handles of one store's metrics.
pub(super) struct StoreMetrics {
    pub(super) calls: CallCounters,
    pub(super) holds: HoldTimer,
    pub(super) losses: Losses,
    acquire_seconds: Histogram,
    release_seconds: Histogram,
    extend_seconds: Histogram,
    inspect_seconds: Histogram,
    list_seconds: Histogram,
    force_release_seconds: Histogram,
}

/// Counts the losses of kept leases, by cause.
pub(super) struct Losses {
    pub(super) gone: Counter,
    pub(super) held_by_other: Counter,
    pub(super) not_renewed: Counter,
    pub(super) max_hold: Counter,
}

impl StoreMetrics {
    pub(super) fn new(store: &str) -> Self {
        let seconds = |operation| STORE_OPERATION.with(OperationLabels { store, operation });
        let lost = |cause| LEASES_LOST.with(LostLabels { store, cause });
        Self {
            calls: CallCounters::new(store),
            holds: HoldTimer::new(store),
            losses: Losses {
                gone: lost("gone"),
                held_by_other: lost("held_by_other"),
                not_renewed: lost("not_renewed"),
                max_hold: lost("max_hold"),
            },
            acquire_seconds: seconds("acquire"),
            release_seconds: seconds("release"),
            extend_seconds: seconds("extend"),
            inspect_seconds: seconds("inspect"),
            list_seconds: seconds("list"),
            force_release_seconds: seconds("force_release"),
        }
    }

    /// Records how long an acquire took.
    pub(super) fn acquire_took(&self, time: Duration) {
        self.acquire_seconds.record(time);
    }

    /// Records how long an extend took.
    pub(super) fn extend_took(&self, time: Duration) {
        self.extend_seconds.record(time);
    }

    /// Records how long an inspect took.
    pub(super) fn inspect_took(&self, time: Duration) {
        self.inspect_seconds.record(time);
    }

    /// Records how long a list of locks took.
    pub(super) fn list_took(&self, time: Duration) {
        self.list_seconds.record(time);
    }

    /// Records how long a forced release of a lock took.
    pub(super) fn force_release_took(&self, time: Duration) {
        self.force_release_seconds.record(time);
    }

    /// Records how long a release took.
    pub(super) fn release_took(&self, time: Duration) {
        self.release_seconds.record(time);
    }
}

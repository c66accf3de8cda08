//! The metrics of the lock component's instances.

use ::metrics::{Counter, Gauge};

use crate::metrics::{
    DiscardedLabels, INSTANCES, INSTANCES_CREATED, INSTANCES_DISCARDED, InstanceLabels,
};

/// Why an instance was discarded.
#[derive(Clone, Copy, Debug)]
pub(super) enum Discarded {
    /// The instance trapped or exceeded its limits.
    Trapped,
    /// The memory of the instance grew larger than the pool keeps.
    Grown,
    /// The pool already keeps enough warm instances.
    Surplus,
}

/// The handles of a pool's metrics.
pub(super) struct InstanceMetrics {
    idle: Gauge,
    busy: Gauge,
    created: Counter,
    trapped: Counter,
    grown: Counter,
    surplus: Counter,
}

impl InstanceMetrics {
    pub(super) fn new() -> Self {
        let discarded = |reason| INSTANCES_DISCARDED.with(DiscardedLabels { reason });
        Self {
            idle: INSTANCES.with(InstanceLabels { state: "idle" }),
            busy: INSTANCES.with(InstanceLabels { state: "busy" }),
            created: INSTANCES_CREATED.with(()),
            trapped: discarded("trapped"),
            grown: discarded("grown"),
            surplus: discarded("surplus"),
        }
    }

    pub(super) fn created(&self) {
        self.created.increment(1);
    }

    pub(super) fn discarded(&self, why: Discarded) {
        let counter = match why {
            Discarded::Trapped => &self.trapped,
            Discarded::Grown => &self.grown,
            Discarded::Surplus => &self.surplus,
        };
        counter.increment(1);
    }

    pub(super) fn set_counts(&self, idle: usize, busy: usize) {
        self.idle.set(idle as f64);
        self.busy.set(busy as f64);
    }
}

//! What is counted of the lock component's instances.

use metrics::{Counter, Gauge};

use super::definitions::{INSTANCES, INSTANCES_CREATED, INSTANCES_DISCARDED};

/// Why an instance was thrown away.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Discarded {
    /// It trapped or ran over its limits.
    Trapped,
    /// A call has grown it beyond what is kept.
    Grown,
    /// There are as many warm ones as are kept.
    Surplus,
}

/// The handles of a pool's metrics, made once.
pub(crate) struct InstanceMetrics {
    idle: Gauge,
    busy: Gauge,
    created: Counter,
    discarded: [Counter; 3],
}

impl InstanceMetrics {
    pub(crate) fn new() -> Self {
        Self {
            idle: INSTANCES.gauge(&["idle"]),
            busy: INSTANCES.gauge(&["busy"]),
            created: INSTANCES_CREATED.counter(&[]),
            discarded: ["trapped", "grown", "surplus"]
                .map(|reason| INSTANCES_DISCARDED.counter(&[reason])),
        }
    }

    pub(crate) fn created(&self) {
        self.created.increment(1);
    }

    pub(crate) fn discarded(&self, why: Discarded) {
        self.discarded[why as usize].increment(1);
    }

    pub(crate) fn there_are(&self, idle: usize, busy: usize) {
        self.idle.set(idle as f64);
        self.busy.set(busy as f64);
    }
}

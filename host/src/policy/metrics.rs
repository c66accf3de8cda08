//! The metrics of a store's resiliency policy and of its circuit breaker.

use ::metrics::{Counter, Gauge};

use crate::metrics::{
    BREAKER_STATE, RESILIENCY_REFUSALS, RESILIENCY_RETRIES, RESILIENCY_TIMEOUTS, StoreLabels,
};

/// The handles of one store's policy metrics.
#[derive(Debug)]
pub(super) struct PolicyMetrics {
    retries: Counter,
    timeouts: Counter,
    refusals: Counter,
}

impl PolicyMetrics {
    pub(super) fn new(store: &str) -> Self {
        let labels = StoreLabels { store };
        Self {
            retries: RESILIENCY_RETRIES.with(labels),
            timeouts: RESILIENCY_TIMEOUTS.with(labels),
            refusals: RESILIENCY_REFUSALS.with(labels),
        }
    }

    /// Counts a retry.
    pub(super) fn retried(&self) {
        self.retries.increment(1);
    }

    /// Counts a try that the timeout ended.
    pub(super) fn timed_out(&self) {
        self.timeouts.increment(1);
    }

    /// Counts a try that the circuit breaker refused.
    pub(super) fn refused(&self) {
        self.refusals.increment(1);
    }
}

/// The state of one store's circuit breaker, with Dapr's numbers: the larger, the fewer calls pass.
#[derive(Debug)]
pub(super) struct BreakerMetrics(Gauge);

impl BreakerMetrics {
    /// The state of a closed breaker.
    pub(super) fn new(store: &str) -> Self {
        let metrics = Self(BREAKER_STATE.with(StoreLabels { store }));
        metrics.set_closed();
        metrics
    }

    pub(super) fn set_closed(&self) {
        self.0.set(0);
    }

    pub(super) fn set_half_open(&self) {
        self.0.set(1);
    }

    pub(super) fn set_open(&self) {
        self.0.set(2);
    }
}

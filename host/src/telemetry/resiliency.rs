//! What is counted of a store's resiliency policy.

use metrics::{Counter, Gauge};

use super::definitions::{
    BREAKER_STATE, RESILIENCY_REFUSALS, RESILIENCY_RETRIES, RESILIENCY_TIMEOUTS,
};

/// The handles of one store's policy, made once.
#[derive(Debug)]
pub(crate) struct PolicyMetrics {
    retries: Counter,
    timeouts: Counter,
    refusals: Counter,
}

impl PolicyMetrics {
    pub(crate) fn new(store: &str) -> Self {
        Self {
            retries: RESILIENCY_RETRIES.counter(&[store]),
            timeouts: RESILIENCY_TIMEOUTS.counter(&[store]),
            refusals: RESILIENCY_REFUSALS.counter(&[store]),
        }
    }

    /// There is another try.
    pub(crate) fn retried(&self) {
        self.retries.increment(1);
    }

    /// A try took too long.
    pub(crate) fn timed_out(&self) {
        self.timeouts.increment(1);
    }

    /// The circuit breaker let a call not pass.
    pub(crate) fn refused(&self) {
        self.refusals.increment(1);
    }
}

/// The state of one store's circuit breaker, as a number that is larger the less passes: Dapr's numbers.
#[derive(Debug)]
pub(crate) struct BreakerMetrics(Gauge);

impl BreakerMetrics {
    /// It is closed.
    pub(crate) fn new(store: &str) -> Self {
        let state = BREAKER_STATE.gauge(&[store]);
        state.set(0);
        Self(state)
    }

    pub(crate) fn closed(&self) {
        self.0.set(0);
    }

    pub(crate) fn half_open(&self) {
        self.0.set(1);
    }

    pub(crate) fn open(&self) {
        self.0.set(2);
    }
}

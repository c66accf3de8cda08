//! What is counted of a store's connections to Redis.

use metrics::{Counter, Gauge};

use super::definitions::{REDIS_CONNECTIONS, REDIS_CONNECTIONS_CLOSED, REDIS_CONNECTS};

/// Why a connection is open no longer.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Closed {
    /// The server or the network ended it.
    Lost,
    /// Its replies do not come, or it leads to a server that does not serve.
    Retired,
    /// It reached `maxConnAge`.
    Aged,
    /// It reached `idleTimeout`.
    Idle,
    /// The store was closed.
    Shutdown,
}

/// The handles of one store's connection metrics, made once.
pub(crate) struct RedisMetrics {
    open: Gauge,
    succeeded: Counter,
    failed: Counter,
    closed: [Counter; 5],
}

impl RedisMetrics {
    pub(crate) fn new(store: &str) -> Self {
        let connects = |outcome| REDIS_CONNECTS.counter(&[store, outcome]);
        Self {
            open: REDIS_CONNECTIONS.gauge(&[store]),
            succeeded: connects("success"),
            failed: connects("failure"),
            closed: ["lost", "retired", "aged", "idle", "shutdown"]
                .map(|reason| REDIS_CONNECTIONS_CLOSED.counter(&[store, reason])),
        }
    }

    pub(crate) fn there_are(&self, open: usize) {
        self.open.set(open as f64);
    }

    pub(crate) fn connected(&self, succeeded: bool) {
        let counter = if succeeded { &self.succeeded } else { &self.failed };
        counter.increment(1);
    }

    pub(crate) fn closed(&self, why: Closed, connections: usize) {
        self.closed[why as usize].increment(connections as u64);
    }
}

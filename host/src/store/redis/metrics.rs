//! The metrics of a store's connections to Redis.

use ::metrics::{Counter, Gauge};

use crate::metrics::{
    ClosedLabels, ConnectLabels, REDIS_CONNECTIONS, REDIS_CONNECTIONS_CLOSED, REDIS_CONNECTS,
    ServerLabels,
};

/// Why a connection was closed.
#[derive(Clone, Copy, Debug)]
pub(super) enum Closed {
    /// The server or the network ended the connection.
    Lost,
    /// Replies are missing, or the server does not accept commands.
    Retired,
    /// The connection reached `maxConnAge`.
    Aged,
    /// The connection reached `idleTimeout`.
    Idle,
    /// Another server has taken the place of the connection's server.
    Replaced,
    /// The store was closed.
    Shutdown,
}

/// The handles of the connection metrics of one server.
pub(super) struct RedisMetrics {
    open: Gauge,
    succeeded: Counter,
    failed: Counter,
    lost: Counter,
    retired: Counter,
    aged: Counter,
    idle: Counter,
    replaced: Counter,
    shutdown: Counter,
}

impl RedisMetrics {
    /// The handles for a server of a store.
    pub(super) fn new(store: &str, server: &str) -> Self {
        let connects = |outcome| REDIS_CONNECTS.with(ConnectLabels { store, server, outcome });
        let closed = |reason| REDIS_CONNECTIONS_CLOSED.with(ClosedLabels { store, server, reason });
        Self {
            open: REDIS_CONNECTIONS.with(ServerLabels { store, server }),
            succeeded: connects("success"),
            failed: connects("failure"),
            lost: closed("lost"),
            retired: closed("retired"),
            aged: closed("aged"),
            idle: closed("idle"),
            replaced: closed("replaced"),
            shutdown: closed("shutdown"),
        }
    }

    pub(super) fn set_open(&self, connections: usize) {
        self.open.set(connections as f64);
    }

    /// Counts an attempt to connect.
    pub(super) fn connected(&self, succeeded: bool) {
        let counter = if succeeded { &self.succeeded } else { &self.failed };
        counter.increment(1);
    }

    pub(super) fn closed(&self, why: Closed, connections: usize) {
        let counter = match why {
            Closed::Lost => &self.lost,
            Closed::Retired => &self.retired,
            Closed::Aged => &self.aged,
            Closed::Idle => &self.idle,
            Closed::Replaced => &self.replaced,
            Closed::Shutdown => &self.shutdown,
        };
        counter.increment(connections as u64);
    }
}

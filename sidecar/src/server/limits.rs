//! How long the server waits for a caller, and how many connections it keeps.

use std::time::Duration;

/// The limits of a [`Server`](super::Server).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// How long the head of a request may take from its first byte, and the first one from the start of the
    /// connection. Default: 10 s, as in Dapr 1.18.
    pub head: Duration,
    /// How long a connection may wait for its next request; gRPC connections may stay idle without limit. Default:
    /// 2 minutes. Clients that keep connections give them up earlier, those in Go after 90 s, so they do not
    /// send a request to a connection that is being closed.
    pub idle: Duration,
    /// How long a caller may leave the bytes that it is sent unread before its connection is closed. Default: 1 minute.
    pub stall: Duration,
    /// How often a caller over HTTP/2 is sent a ping. Default: 10 s, as daprd does on connections of gRPC (Dapr 1.18,
    /// `pkg/api/grpc/server.go`).
    pub ping_interval: Duration,
    /// How long the answer to a ping may take, before the connection is closed. Default: 5 s.
    pub ping_timeout: Duration,
    /// How many connections each API has at most. Default: 10,000.
    pub connections: usize,
    /// The same for each [auxiliary](super::Server::auxiliary) API. Default: 128.
    pub auxiliary_connections: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            head: Duration::from_secs(10),
            idle: Duration::from_secs(120),
            stall: Duration::from_secs(60),
            ping_interval: Duration::from_secs(10),
            ping_timeout: Duration::from_secs(5),
            connections: 10_000,
            auxiliary_connections: 128,
        }
    }
}

impl Limits {
    /// Sets [`head`](field@Self::head).
    #[must_use]
    pub fn head(mut self, head: Duration) -> Self {
        self.head = head;
        self
    }

    /// Sets [`idle`](field@Self::idle).
    #[must_use]
    pub fn idle(mut self, idle: Duration) -> Self {
        self.idle = idle;
        self
    }

    /// Sets [`stall`](field@Self::stall).
    #[must_use]
    pub fn stall(mut self, stall: Duration) -> Self {
        self.stall = stall;
        self
    }

    /// Sets [`ping_interval`](field@Self::ping_interval).
    #[must_use]
    pub fn ping_interval(mut self, interval: Duration) -> Self {
        self.ping_interval = interval;
        self
    }

    /// Sets [`ping_timeout`](field@Self::ping_timeout).
    #[must_use]
    pub fn ping_timeout(mut self, timeout: Duration) -> Self {
        self.ping_timeout = timeout;
        self
    }

    /// Sets [`connections`](field@Self::connections).
    #[must_use]
    pub fn connections(mut self, connections: usize) -> Self {
        self.connections = connections;
        self
    }

    /// How many of the connections of an API may hold locks: half of them. With [those that
    /// wait](Self::waits) they leave a quarter, for callers who release locks and for health checks.
    pub fn holds(&self) -> usize {
        self.connections.div_ceil(2)
    }

    /// How many of the connections of an API may wait for locks: a quarter of them.
    pub fn waits(&self) -> usize {
        (self.connections / 4).max(1)
    }

    /// Sets [`auxiliary_connections`](field@Self::auxiliary_connections).
    #[must_use]
    pub fn auxiliary_connections(mut self, connections: usize) -> Self {
        self.auxiliary_connections = connections;
        self
    }
}

//! The metrics of the requests of a proxy.

use ::metrics::Counter;
use holdfast::metrics::{ClientGoneLabels, EDGE_CLIENTS_GONE, EDGE_REQUESTS, EdgeRequestLabels};

/// The counters of one edge lock.
#[derive(Clone, Debug)]
pub(super) struct EdgeMetrics {
    /// The request got the lock.
    pub(super) granted: Counter,
    /// The lock was not free in time.
    pub(super) refused: Counter,
    /// The queue for the lock was full.
    pub(super) crowded: Counter,
    /// Nobody knows who has the lock, so the request was refused.
    pub(super) in_doubt_refused: Counter,
    /// Nobody knows who has the lock, so the request went on without.
    pub(super) in_doubt_passed: Counter,
    /// The client left while its request waited.
    pub(super) left: Counter,
    /// The client left, or the proxy gave up, while the request held the lock, which is kept.
    pub(super) kept: Counter,
    /// The same, and the lock was freed.
    pub(super) freed: Counter,
}

impl EdgeMetrics {
    pub(super) fn new(edge_lock: &str) -> Self {
        let request = |outcome| EDGE_REQUESTS.with(EdgeRequestLabels { edge_lock, outcome });
        let gone = |lock| EDGE_CLIENTS_GONE.with(ClientGoneLabels { edge_lock, lock });
        Self {
            granted: request("granted"),
            refused: request("refused"),
            crowded: request("crowded"),
            in_doubt_refused: request("in_doubt_refused"),
            in_doubt_passed: request("in_doubt_passed"),
            left: request("left"),
            kept: gone("kept"),
            freed: gone("freed"),
        }
    }
}

/// Requests that no edge lock is for.
pub(super) fn unmatched() -> Counter {
    EDGE_REQUESTS.with(EdgeRequestLabels { edge_lock: "", outcome: "unmatched" })
}

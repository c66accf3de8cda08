//! What Dapr counts of gRPC calls.

use std::time::Duration;

use metrics::{Counter, Histogram};

use super::{
    cache::Cache,
    definitions::{GRPC_COMPLETED, GRPC_LATENCY, GRPC_RECEIVED_BYTES, GRPC_SENT_BYTES},
};

/// The handles of one API's metrics.
#[derive(Debug)]
pub(crate) struct GrpcMetrics {
    app_id: String,
    calls: Cache<(&'static str, &'static str), Calls>,
    bytes: Cache<&'static str, Bytes>,
}

/// Of the calls of one method that had one status.
#[derive(Debug)]
struct Calls {
    completed: Counter,
    latency: Histogram,
}

/// Of the messages of one method.
#[derive(Debug)]
struct Bytes {
    received: Histogram,
    sent: Histogram,
}

impl GrpcMetrics {
    pub(crate) fn new(app_id: &str) -> Self {
        Self { app_id: app_id.to_owned(), calls: Cache::default(), bytes: Cache::default() }
    }

    /// A call was answered. The status is called as Go's implementation of gRPC calls it.
    pub(crate) fn answered(&self, method: &'static str, status: &'static str, took: Duration) {
        let calls = self.calls.get((method, status), || {
            let labels = [&self.app_id, method, status];
            Calls {
                completed: GRPC_COMPLETED.counter(&labels),
                latency: GRPC_LATENCY.histogram(&labels),
            }
        });
        calls.completed.increment(1);
        calls.latency.record(took.as_secs_f64() * 1000.0);
    }

    /// The message of a call was so long, and that of its answer; 0 where there is none.
    pub(crate) fn carried(&self, method: &'static str, received: usize, sent: usize) {
        let bytes = self.bytes.get(method, || {
            let labels = [&self.app_id, method];
            Bytes {
                received: GRPC_RECEIVED_BYTES.histogram(&labels),
                sent: GRPC_SENT_BYTES.histogram(&labels),
            }
        });
        bytes.received.record(received as f64);
        bytes.sent.record(sent as f64);
    }
}

//! The metrics of gRPC calls.

use std::time::Duration;

use holdfast::metrics::{
    GRPC_COMPLETED, GRPC_LATENCY, GRPC_RECEIVED_BYTES, GRPC_SENT_BYTES, GrpcBytesLabels, GrpcLabels,
};
use metrics::{Counter, Histogram};

use crate::metric_handles::MetricHandles;

/// The handles of one API's metrics.
#[derive(Debug)]
pub(super) struct GrpcMetrics {
    app_id: String,
    calls: MetricHandles<(&'static str, &'static str), CallHandles>,
    bytes: MetricHandles<&'static str, Bytes>,
}

/// The handles for the calls of one method that ended with one status.
#[derive(Debug)]
struct CallHandles {
    completed: Counter,
    latency: Histogram,
}

/// The handles for the messages of one method.
#[derive(Debug)]
struct Bytes {
    received: Histogram,
    sent: Histogram,
}

impl GrpcMetrics {
    pub(super) fn new(app_id: &str) -> Self {
        Self {
            app_id: app_id.to_owned(),
            calls: MetricHandles::default(),
            bytes: MetricHandles::default(),
        }
    }

    /// Records a call that was answered. The status has the name that gRPC's Go implementation gives it.
    pub(super) fn record_call(&self, method: &'static str, status: &'static str, took: Duration) {
        let calls = self.calls.get((method, status), || {
            let labels = GrpcLabels {
                app_id: &self.app_id,
                grpc_server_method: method,
                grpc_server_status: status,
            };
            CallHandles {
                completed: GRPC_COMPLETED.with(labels),
                latency: GRPC_LATENCY.with(labels),
            }
        });
        calls.completed.increment(1);
        calls.latency.record(took.as_secs_f64() * 1000.0);
    }

    /// Records the lengths of a call's request and response messages, in bytes; 0 for none.
    pub(super) fn record_lengths(&self, method: &'static str, received: usize, sent: usize) {
        let bytes = self.bytes.get(method, || {
            let labels = GrpcBytesLabels { app_id: &self.app_id, grpc_server_method: method };
            Bytes { received: GRPC_RECEIVED_BYTES.with(labels), sent: GRPC_SENT_BYTES.with(labels) }
        });
        bytes.received.record(received as f64);
        bytes.sent.record(sent as f64);
    }
}

//! Every metric: its name, unit, labels and meaning. Those that begin with `dapr_` are called, labelled
//! and divided into buckets as Dapr 1.18 does it (`pkg/diagnostics`, with `increasedCardinality`), so that
//! dashboards for it work here.

use metrics::{Counter, Gauge, Histogram, Key, Label, Level, Metadata, SharedString, Unit};

/// A metric.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Definition {
    /// Its name, which is a name for Prometheus too.
    pub name: &'static str,
    /// What kind it is.
    pub kind: Kind,
    /// What its values are.
    pub unit: Unit,
    /// The labels that it always has. Their values are bounded: no resource and no owner is among them,
    /// and a store only if it is configured.
    pub labels: &'static [&'static str],
    /// What it says.
    pub help: &'static str,
}

/// The kind of a metric.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    /// It only grows.
    Counter,
    /// It goes up and down.
    Gauge,
    /// A distribution.
    Histogram {
        /// The upper bounds of its buckets, in its unit, in ascending order.
        buckets: &'static [f64],
    },
}

/// All metrics.
pub const METRICS: &[Definition] = &[
    BUILD_INFO,
    LOCK_ATTEMPTS,
    UNLOCKS,
    LOCK_HOLD,
    LOCK_HOLDS_UNTRACKED,
    STORE_OPERATION,
    CALLS_IN_FLIGHT,
    CALLS_WAITING,
    INSTANCES,
    INSTANCES_CREATED,
    INSTANCES_DISCARDED,
    REDIS_CONNECTIONS,
    REDIS_CONNECTS,
    REDIS_CONNECTIONS_CLOSED,
    RESILIENCY_RETRIES,
    RESILIENCY_TIMEOUTS,
    RESILIENCY_REFUSALS,
    BREAKER_STATE,
    HTTP_REQUEST_COUNT,
    HTTP_RESPONSE_COUNT,
    HTTP_LATENCY,
    HTTP_REQUEST_BYTES,
    HTTP_RESPONSE_BYTES,
    GRPC_COMPLETED,
    GRPC_LATENCY,
    GRPC_RECEIVED_BYTES,
    GRPC_SENT_BYTES,
    COMPONENT_LOADED,
    COMPONENT_INIT,
    COMPONENT_INIT_FAIL,
];

/// From what memory takes to what a network at its worst does.
const STORE_SECONDS: &[f64] = &[
    0.000_001, 0.000_01, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1,
    0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
];

/// From a short critical section to a day's leadership.
const HOLD_SECONDS: &[f64] = &[
    0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3_600.0, 14_400.0,
    86_400.0,
];

const DAPR_MILLISECONDS: &[f64] = &[
    1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0, 13.0, 16.0, 20.0, 25.0, 30.0, 40.0, 50.0, 65.0, 80.0,
    100.0, 130.0, 160.0, 200.0, 250.0, 300.0, 400.0, 500.0, 650.0, 800.0, 1_000.0, 2_000.0,
    5_000.0, 10_000.0, 20_000.0, 50_000.0, 100_000.0,
];

const DAPR_BYTES: &[f64] = &[
    1_024.0,
    2_048.0,
    4_096.0,
    16_384.0,
    65_536.0,
    262_144.0,
    1_048_576.0,
    4_194_304.0,
    16_777_216.0,
    67_108_864.0,
    268_435_456.0,
    1_073_741_824.0,
    4_294_967_296.0,
];

pub(crate) const BUILD_INFO: Definition = Definition {
    name: "holdfast_build_info",
    kind: Kind::Gauge,
    unit: Unit::Count,
    labels: &["version"],
    help: "Always 1; the label is the version that runs.",
};

pub(crate) const LOCK_ATTEMPTS: Definition = Definition {
    name: "holdfast_lock_attempts_total",
    kind: Kind::Counter,
    unit: Unit::Count,
    labels: &["store", "outcome", "error"],
    help: "Attempts to take a lock; the error is empty unless the outcome is error.",
};

pub(crate) const UNLOCKS: Definition = Definition {
    name: "holdfast_unlocks_total",
    kind: Kind::Counter,
    unit: Unit::Count,
    labels: &["store", "status", "error"],
    help: "Attempts to free a lock; the error is empty unless the status is error.",
};

pub(crate) const LOCK_HOLD: Definition = Definition {
    name: "holdfast_lock_hold_seconds",
    kind: Kind::Histogram { buckets: HOLD_SECONDS },
    unit: Unit::Seconds,
    labels: &["store"],
    help: "How long locks were held that this process both took and freed; not those that ran out.",
};

pub(crate) const LOCK_HOLDS_UNTRACKED: Definition = Definition {
    name: "holdfast_lock_holds_untracked_total",
    kind: Kind::Counter,
    unit: Unit::Count,
    labels: &["store"],
    help: "Locks whose hold time is not measured because too many were held at the time.",
};

pub(crate) const STORE_OPERATION: Definition = Definition {
    name: "holdfast_store_operation_seconds",
    kind: Kind::Histogram { buckets: STORE_SECONDS },
    unit: Unit::Seconds,
    labels: &["store", "operation"],
    help: "How long a store took for an operation, also where it failed.",
};

pub(crate) const CALLS_IN_FLIGHT: Definition = Definition {
    name: "holdfast_calls_in_flight",
    kind: Kind::Gauge,
    unit: Unit::Count,
    labels: &[],
    help: "Calls that are with their stores.",
};

pub(crate) const CALLS_WAITING: Definition = Definition {
    name: "holdfast_calls_waiting",
    kind: Kind::Gauge,
    unit: Unit::Count,
    labels: &[],
    help: "Calls that wait for their turn.",
};

pub(crate) const INSTANCES: Definition = Definition {
    name: "holdfast_component_instances",
    kind: Kind::Gauge,
    unit: Unit::Count,
    labels: &["state"],
    help: "Instances of the lock component that there are, idle or busy.",
};

pub(crate) const INSTANCES_CREATED: Definition = Definition {
    name: "holdfast_component_instances_created_total",
    kind: Kind::Counter,
    unit: Unit::Count,
    labels: &[],
    help: "Instances of the lock component that were made.",
};

pub(crate) const INSTANCES_DISCARDED: Definition = Definition {
    name: "holdfast_component_instances_discarded_total",
    kind: Kind::Counter,
    unit: Unit::Count,
    labels: &["reason"],
    help: "Instances of the lock component that were thrown away: trapped, grown too large, or surplus.",
};

pub(crate) const REDIS_CONNECTIONS: Definition = Definition {
    name: "holdfast_redis_connections",
    kind: Kind::Gauge,
    unit: Unit::Count,
    labels: &["store"],
    help: "Open connections to Redis.",
};

pub(crate) const REDIS_CONNECTS: Definition = Definition {
    name: "holdfast_redis_connects_total",
    kind: Kind::Counter,
    unit: Unit::Count,
    labels: &["store", "outcome"],
    help: "Attempts to open a connection to Redis, login included.",
};

pub(crate) const REDIS_CONNECTIONS_CLOSED: Definition = Definition {
    name: "holdfast_redis_connections_closed_total",
    kind: Kind::Counter,
    unit: Unit::Count,
    labels: &["store", "reason"],
    help: "Connections to Redis that were closed or given up.",
};

pub(crate) const RESILIENCY_RETRIES: Definition = Definition {
    name: "holdfast_resiliency_retries_total",
    kind: Kind::Counter,
    unit: Unit::Count,
    labels: &["store"],
    help: "Further tries that a store's resiliency policy made.",
};

pub(crate) const RESILIENCY_TIMEOUTS: Definition = Definition {
    name: "holdfast_resiliency_timeouts_total",
    kind: Kind::Counter,
    unit: Unit::Count,
    labels: &["store"],
    help: "Tries that a store's resiliency policy ended for their time.",
};

pub(crate) const RESILIENCY_REFUSALS: Definition = Definition {
    name: "holdfast_resiliency_refusals_total",
    kind: Kind::Counter,
    unit: Unit::Count,
    labels: &["store"],
    help: "Tries that a store's circuit breaker did not let pass.",
};

pub(crate) const BREAKER_STATE: Definition = Definition {
    name: "holdfast_circuit_breaker_state",
    kind: Kind::Gauge,
    unit: Unit::Count,
    labels: &["store"],
    help: "The state of a store's circuit breaker at its latest call: 0 is closed, 1 half-open, 2 open.",
};

pub(crate) const HTTP_REQUEST_COUNT: Definition = Definition {
    name: "dapr_http_server_request_count",
    kind: Kind::Counter,
    unit: Unit::Count,
    labels: &["app_id", "method", "path", "status"],
    help: "HTTP requests that were answered.",
};

pub(crate) const HTTP_RESPONSE_COUNT: Definition = Definition {
    name: "dapr_http_server_response_count",
    kind: Kind::Counter,
    unit: Unit::Count,
    labels: &["app_id", "method", "path", "status"],
    help: "HTTP responses.",
};

pub(crate) const HTTP_LATENCY: Definition = Definition {
    name: "dapr_http_server_latency",
    kind: Kind::Histogram { buckets: DAPR_MILLISECONDS },
    unit: Unit::Milliseconds,
    labels: &["app_id", "method", "path", "status"],
    help: "How long HTTP requests took, in milliseconds.",
};

pub(crate) const HTTP_REQUEST_BYTES: Definition = Definition {
    name: "dapr_http_server_request_bytes",
    kind: Kind::Histogram { buckets: DAPR_BYTES },
    unit: Unit::Bytes,
    labels: &["app_id"],
    help: "Sizes of the bodies of HTTP requests, as their Content-Length says; else 0.",
};

pub(crate) const HTTP_RESPONSE_BYTES: Definition = Definition {
    name: "dapr_http_server_response_bytes",
    kind: Kind::Histogram { buckets: DAPR_BYTES },
    unit: Unit::Bytes,
    labels: &["app_id"],
    help: "Sizes of the bodies of HTTP responses.",
};

pub(crate) const GRPC_COMPLETED: Definition = Definition {
    name: "dapr_grpc_io_server_completed_rpcs",
    kind: Kind::Counter,
    unit: Unit::Count,
    labels: &["app_id", "grpc_server_method", "grpc_server_status"],
    help: "gRPC calls that were answered.",
};

pub(crate) const GRPC_LATENCY: Definition = Definition {
    name: "dapr_grpc_io_server_server_latency",
    kind: Kind::Histogram { buckets: DAPR_MILLISECONDS },
    unit: Unit::Milliseconds,
    labels: &["app_id", "grpc_server_method", "grpc_server_status"],
    help: "How long gRPC calls took, in milliseconds.",
};

pub(crate) const GRPC_RECEIVED_BYTES: Definition = Definition {
    name: "dapr_grpc_io_server_received_bytes_per_rpc",
    kind: Kind::Histogram { buckets: DAPR_BYTES },
    unit: Unit::Bytes,
    labels: &["app_id", "grpc_server_method"],
    help: "Sizes of the messages of gRPC calls.",
};

pub(crate) const GRPC_SENT_BYTES: Definition = Definition {
    name: "dapr_grpc_io_server_sent_bytes_per_rpc",
    kind: Kind::Histogram { buckets: DAPR_BYTES },
    unit: Unit::Bytes,
    labels: &["app_id", "grpc_server_method"],
    help: "Sizes of the messages that gRPC calls were answered with; 0 for an error.",
};

pub(crate) const COMPONENT_LOADED: Definition = Definition {
    name: "dapr_runtime_component_loaded",
    kind: Kind::Counter,
    unit: Unit::Count,
    labels: &["app_id"],
    help: "Components that were read.",
};

pub(crate) const COMPONENT_INIT: Definition = Definition {
    name: "dapr_runtime_component_init_total",
    kind: Kind::Counter,
    unit: Unit::Count,
    labels: &["app_id", "component"],
    help: "Components that were opened, by type.",
};

pub(crate) const COMPONENT_INIT_FAIL: Definition = Definition {
    name: "dapr_runtime_component_init_fail_total",
    kind: Kind::Counter,
    unit: Unit::Count,
    labels: &["app_id", "component", "reason", "component_name"],
    help: "Components that could not be opened, by type and name: at their creation or at their init.",
};

/// Tells the recorder what all metrics mean, and which version this is.
pub(crate) fn describe() {
    metrics::with_recorder(|recorder| {
        for metric in METRICS {
            let (name, unit) = (metric.name.into(), Some(metric.unit));
            let help = SharedString::const_str(metric.help);
            match metric.kind {
                Kind::Counter => recorder.describe_counter(name, unit, help),
                Kind::Gauge => recorder.describe_gauge(name, unit, help),
                Kind::Histogram { .. } => recorder.describe_histogram(name, unit, help),
            }
        }
    });
    BUILD_INFO.gauge(&[env!("CARGO_PKG_VERSION")]).set(1);
}

impl Definition {
    /// The counter with these values of the labels, for good.
    pub(crate) fn counter(&self, values: &[&str]) -> Counter {
        metrics::with_recorder(|recorder| recorder.register_counter(&self.key(values), &METADATA))
    }

    /// The gauge with these values of the labels, for good.
    pub(crate) fn gauge(&self, values: &[&str]) -> Gauge {
        metrics::with_recorder(|recorder| recorder.register_gauge(&self.key(values), &METADATA))
    }

    /// The histogram with these values of the labels, for good.
    pub(crate) fn histogram(&self, values: &[&str]) -> Histogram {
        metrics::with_recorder(|recorder| recorder.register_histogram(&self.key(values), &METADATA))
    }

    fn key(&self, values: &[&str]) -> Key {
        debug_assert_eq!(self.labels.len(), values.len(), "{}", self.name);
        let labels = self.labels.iter().zip(values);
        let labels = labels.map(|(name, value)| Label::new(*name, (*value).to_owned()));
        Key::from_parts(self.name, labels.collect::<Vec<_>>())
    }
}

const METADATA: Metadata<'static> =
    Metadata::new("holdfast", Level::INFO, Some(env!("CARGO_CRATE_NAME")));

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn names_are_unique_and_say_what_they_count() {
        let names: HashSet<_> = METRICS.iter().map(|metric| metric.name).collect();
        assert_eq!(names.len(), METRICS.len());
        for Definition { name, kind, unit, help, .. } in METRICS {
            assert!(help.ends_with('.'), "{name}");
            if !name.starts_with("holdfast_") {
                assert!(name.starts_with("dapr_"), "{name}");
                continue;
            }
            assert_eq!(name.ends_with("_total"), *kind == Kind::Counter, "{name}");
            assert_eq!(name.ends_with("_seconds"), *unit == Unit::Seconds, "{name}");
        }
    }

    #[test]
    fn buckets_ascend() {
        for Definition { name, kind, .. } in METRICS {
            if let Kind::Histogram { buckets } = kind {
                assert!(buckets.is_sorted_by(|a, b| a < b), "{name}");
            }
        }
    }
}

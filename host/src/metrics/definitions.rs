//! Every metric, with its labels.
//!
//! Metrics that begin with `dapr_` have the names, labels and buckets of Dapr 1.18 (`pkg/diagnostics`, with
//! `increasedCardinality`), so that dashboards for Dapr work with Holdfast.

use ::metrics::{Counter, Gauge, Histogram, Label, Unit};

use super::metric::{Definition, LabelSet, Metric};

/// Declares sets of labels. The fields have the names of the labels, in their order.
macro_rules! label_sets {
    ($($(#[$doc:meta])+ $name:ident { $($label:ident),+ $(,)? })+) => {$(
        $(#[$doc])+
        #[derive(Clone, Copy, Debug)]
        pub struct $name<'a> {
            $(#[doc = concat!("The value of the label `", stringify!($label), "`.")]
            pub $label: &'a str,)+
        }

        impl LabelSet for $name<'_> {
            const NAMES: &'static [&'static str] = &[$(stringify!($label)),+];

            fn labels(&self) -> Vec<Label> {
                vec![$(Label::new(stringify!($label), self.$label.to_owned())),+]
            }
        }
    )+};
}

/// Declares metrics and lists them in [`METRICS`]. The comment of each is its help text.
macro_rules! metrics {
    ($($(#[doc = $help:literal])+ $name:ident: $type:ty = $metric:expr;)+) => {
        $($(#[doc = $help])+
        pub const $name: $type = $metric.help(concat!($($help),+).trim_ascii());)+

        /// All metrics.
        pub const METRICS: &[Definition] = &[$($name.definition),+];
    };
}

label_sets! {
    /// The version that runs.
    VersionLabels { version }

    /// A lock store.
    StoreLabels { store }

    /// The result of a try-lock; `error` is empty unless the outcome is `error`.
    TryLockLabels { store, outcome, error }

    /// The result of an unlock; `error` is empty unless the status is `error`.
    UnlockLabels { store, status, error }

    /// The result of an extend or an inspect; `error` is empty unless the outcome is `error`.
    OutcomeLabels { store, outcome, error }

    /// How a wait ended.
    WaitLabels { store, outcome }

    /// Why a kept lease is lost.
    LostLabels { store, cause }

    /// How a call of an operator ended.
    AdminLabels { store, operation, outcome, error }

    /// An operation of a lock store.
    OperationLabels { store, operation }

    /// What an instance does.
    InstanceLabels { state }

    /// Why an instance was discarded.
    DiscardedLabels { reason }

    /// A Redis server, by its `host:port`; with Sentinel, the master's name and the sentinels.
    ServerLabels { store, server }

    /// The result of an attempt to connect to Redis.
    ConnectLabels { store, server, outcome }

    /// Why a connection to Redis was closed.
    ClosedLabels { store, server, reason }

    /// The answer of a quorum's node to an operation.
    NodeLabels { store, node, operation, outcome }

    /// How a request of a proxy fared; `edge_lock` is empty if no edge lock matched it.
    EdgeRequestLabels { edge_lock, outcome }

    /// What happened to the lock of a client that left.
    ClientGoneLabels { edge_lock, lock }

    /// The application that a process serves.
    AppLabels { app_id }

    /// HTTP requests to one path whose answer has one status.
    HttpLabels { app_id, method, path, status }

    /// Calls of one gRPC method whose answer has one status.
    GrpcLabels { app_id, grpc_server_method, grpc_server_status }

    /// Messages of one gRPC method.
    GrpcBytesLabels { app_id, grpc_server_method }

    /// A lock store definition, by its type.
    ComponentLabels { app_id, component }

    /// A lock store definition whose store was not opened, by its type and its name.
    ComponentFailLabels { app_id, component, reason, component_name }
}

/// Buckets from a store in memory to a slow network, in seconds.
const STORE_SECONDS: &[f64] = &[
    0.000_001, 0.000_01, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1,
    0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
];

/// Buckets from a short critical section to a leader's day, in seconds.
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

metrics! {
    /// Always 1; the label is the version that runs.
    BUILD_INFO: Metric<Gauge, VersionLabels<'_>> = Metric::gauge("holdfast_build_info");

    /// Attempts to take a lock; the error is empty unless the outcome is error.
    LOCK_ATTEMPTS: Metric<Counter, TryLockLabels<'_>> = Metric::counter("holdfast_lock_attempts_total");

    /// Attempts to free a lock; the error is empty unless the status is error.
    UNLOCKS: Metric<Counter, UnlockLabels<'_>> = Metric::counter("holdfast_unlocks_total");

    /// Attempts to extend a lease; the error is empty unless the outcome is error.
    LEASE_EXTENDS: Metric<Counter, OutcomeLabels<'_>> = Metric::counter("holdfast_lease_extends_total");

    /// Inspections of a lock; the error is empty unless the outcome is error.
    LOCK_INSPECTIONS: Metric<Counter, OutcomeLabels<'_>> =
        Metric::counter("holdfast_lock_inspections_total");

    /// Calls of the operator API; the error is empty unless the outcome is error.
    ADMIN_CALLS: Metric<Counter, AdminLabels<'_>> = Metric::counter("holdfast_admin_calls_total");

    /// How long calls waited for a lock that was held, by how the wait ended.
    LOCK_WAIT: Metric<Histogram, WaitLabels<'_>> =
        Metric::histogram("holdfast_lock_wait_seconds", Unit::Seconds, HOLD_SECONDS);

    /// Time between the notification that a lock is free and the waiter's grant.
    LOCK_HANDOVER: Metric<Histogram, StoreLabels<'_>> =
        Metric::histogram("holdfast_lock_handover_seconds", Unit::Seconds, STORE_SECONDS);

    /// Leases that this process kept, and lost.
    LEASES_LOST: Metric<Counter, LostLabels<'_>> = Metric::counter("holdfast_leases_lost_total");

    /// Calls that wait for a lock.
    LOCK_WAITERS: Metric<Gauge, StoreLabels<'_>> = Metric::gauge("holdfast_lock_waiters");

    /// How long this process held the locks that it both took and freed. Expired locks are left out.
    LOCK_HOLD: Metric<Histogram, StoreLabels<'_>> =
        Metric::histogram("holdfast_lock_hold_seconds", Unit::Seconds, HOLD_SECONDS);

    /// Locks whose hold time is not measured because too many were held at the time.
    LOCK_HOLDS_UNTRACKED: Metric<Counter, StoreLabels<'_>> =
        Metric::counter("holdfast_lock_holds_untracked_total");

    /// How long a store took for an operation, including operations that failed.
    STORE_OPERATION: Metric<Histogram, OperationLabels<'_>> =
        Metric::histogram("holdfast_store_operation_seconds", Unit::Seconds, STORE_SECONDS);

    /// Calls that use a store.
    CALLS_IN_FLIGHT: Metric<Gauge, ()> = Metric::gauge("holdfast_calls_in_flight");

    /// Calls that wait for their turn.
    CALLS_WAITING: Metric<Gauge, ()> = Metric::gauge("holdfast_calls_waiting");

    /// Instances of the lock component, idle or busy.
    INSTANCES: Metric<Gauge, InstanceLabels<'_>> = Metric::gauge("holdfast_component_instances");

    /// Instances of the lock component that were created.
    INSTANCES_CREATED: Metric<Counter, ()> =
        Metric::counter("holdfast_component_instances_created_total");

    /// Instances of the lock component that were discarded: trapped, grown too large, or surplus.
    INSTANCES_DISCARDED: Metric<Counter, DiscardedLabels<'_>> =
        Metric::counter("holdfast_component_instances_discarded_total");

    /// Open connections to Redis.
    REDIS_CONNECTIONS: Metric<Gauge, ServerLabels<'_>> = Metric::gauge("holdfast_redis_connections");

    /// Attempts to open a connection to Redis, login included.
    REDIS_CONNECTS: Metric<Counter, ConnectLabels<'_>> = Metric::counter("holdfast_redis_connects_total");

    /// Connections to Redis that were closed or given up.
    REDIS_CONNECTIONS_CLOSED: Metric<Counter, ClosedLabels<'_>> =
        Metric::counter("holdfast_redis_connections_closed_total");

    /// Answers of the nodes of a quorum, by the node, what it was asked for and what it answered.
    QUORUM_NODE_ANSWERS: Metric<Counter, NodeLabels<'_>> =
        Metric::counter("holdfast_quorum_node_answers_total");

    /// Requests of a proxy that took a lock or did not get it, by their edge lock.
    EDGE_REQUESTS: Metric<Counter, EdgeRequestLabels<'_>> =
        Metric::counter("holdfast_edge_requests_total");

    /// Requests of a proxy whose client left, or that the proxy gave up, before the upstream had answered, by what
    /// became of their lock: kept or freed.
    EDGE_CLIENTS_GONE: Metric<Counter, ClientGoneLabels<'_>> =
        Metric::counter("holdfast_edge_clients_gone_total");

    /// Retries that a store's resiliency policy made.
    RESILIENCY_RETRIES: Metric<Counter, StoreLabels<'_>> =
        Metric::counter("holdfast_resiliency_retries_total");

    /// Tries that the timeout of a store's resiliency policy ended.
    RESILIENCY_TIMEOUTS: Metric<Counter, StoreLabels<'_>> =
        Metric::counter("holdfast_resiliency_timeouts_total");

    /// Tries that a store's circuit breaker refused.
    RESILIENCY_REFUSALS: Metric<Counter, StoreLabels<'_>> =
        Metric::counter("holdfast_resiliency_refusals_total");

    /// The state of a store's circuit breaker at its latest call: 0 is closed, 1 half-open, 2 open.
    BREAKER_STATE: Metric<Gauge, StoreLabels<'_>> = Metric::gauge("holdfast_circuit_breaker_state");

    /// HTTP requests that were answered.
    HTTP_REQUEST_COUNT: Metric<Counter, HttpLabels<'_>> =
        Metric::counter("dapr_http_server_request_count");

    /// HTTP responses.
    HTTP_RESPONSE_COUNT: Metric<Counter, HttpLabels<'_>> =
        Metric::counter("dapr_http_server_response_count");

    /// How long HTTP requests took, in milliseconds.
    HTTP_LATENCY: Metric<Histogram, HttpLabels<'_>> =
        Metric::histogram("dapr_http_server_latency", Unit::Milliseconds, DAPR_MILLISECONDS);

    /// Sizes of the bodies of HTTP requests, from their Content-Length; 0 without one.
    HTTP_REQUEST_BYTES: Metric<Histogram, AppLabels<'_>> =
        Metric::histogram("dapr_http_server_request_bytes", Unit::Bytes, DAPR_BYTES);

    /// Sizes of the bodies of HTTP responses.
    HTTP_RESPONSE_BYTES: Metric<Histogram, AppLabels<'_>> =
        Metric::histogram("dapr_http_server_response_bytes", Unit::Bytes, DAPR_BYTES);

    /// gRPC calls that were answered.
    GRPC_COMPLETED: Metric<Counter, GrpcLabels<'_>> =
        Metric::counter("dapr_grpc_io_server_completed_rpcs");

    /// How long gRPC calls took, in milliseconds.
    GRPC_LATENCY: Metric<Histogram, GrpcLabels<'_>> =
        Metric::histogram("dapr_grpc_io_server_server_latency", Unit::Milliseconds, DAPR_MILLISECONDS);

    /// Sizes of the request messages of gRPC calls.
    GRPC_RECEIVED_BYTES: Metric<Histogram, GrpcBytesLabels<'_>> =
        Metric::histogram("dapr_grpc_io_server_received_bytes_per_rpc", Unit::Bytes, DAPR_BYTES);

    /// Sizes of the response messages of gRPC calls; 0 for an error.
    GRPC_SENT_BYTES: Metric<Histogram, GrpcBytesLabels<'_>> =
        Metric::histogram("dapr_grpc_io_server_sent_bytes_per_rpc", Unit::Bytes, DAPR_BYTES);

    /// Lock store definitions that were read.
    COMPONENT_LOADED: Metric<Counter, AppLabels<'_>> = Metric::counter("dapr_runtime_component_loaded");

    /// Lock store definitions whose store was opened, by type.
    COMPONENT_INIT: Metric<Counter, ComponentLabels<'_>> =
        Metric::counter("dapr_runtime_component_init_total");

    /// Lock store definitions whose store was not opened, by type and name: of an unknown type (creation)
    /// or for an error while opening (init).
    COMPONENT_INIT_FAIL: Metric<Counter, ComponentFailLabels<'_>> =
        Metric::counter("dapr_runtime_component_init_fail_total");
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::metrics::metric::Kind;

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

//! The program's metrics, as Prometheus reads them, after known calls.

use std::collections::{BTreeMap, BTreeSet};

use holdfast::metrics::{Kind, METRICS};
use holdfast_tests::{
    eventually,
    exposition::Exposition,
    holdfast::Holdfast,
    http_api::ACQUIRED,
    http_client::{get, post},
    redis_server::RedisServer,
};

use crate::{HOLDFAST, known_calls::Watched};

fn series<const N: usize>(series: [(&str, f64); N]) -> BTreeMap<String, f64> {
    series.map(|(labels, value)| (labels.to_owned(), value)).into()
}

const APP: [(&str, &str); 1] = [("app_id", "app1")];

#[tokio::test]
async fn the_metrics_count_the_calls() {
    let watched = Watched::start();
    watched.make_calls().await;
    let seen = watched.scrape().await;

    assert_locks(&seen);
    assert_http(&seen);
    assert_grpc(&seen);
    assert_components(&seen);
    assert_redis(&seen, &watched.redis);
    assert_eq!(seen.get("holdfast_calls_in_flight", &[]), Some(0.0));
    assert_eq!(seen.get("holdfast_calls_waiting", &[]), Some(0.0));
    let version = [("version", env!("CARGO_PKG_VERSION"))];
    assert_eq!(seen.get("holdfast_build_info", &version), Some(1.0));
    assert_defined(&seen);
}

/// The metrics of locks: calls and their outcomes.
fn assert_locks(seen: &Exposition) {
    let attempts = seen.non_zero("holdfast_lock_attempts_total");
    let expected = series([
        ("error=invalid,outcome=error,store=_unknown", 1.0),
        ("error=invalid,outcome=error,store=redis", 1.0),
        ("error=store_not_found,outcome=error,store=_unknown", 1.0),
        ("outcome=acquired,store=memory", 1.0),
        ("outcome=acquired,store=redis", 2.0),
        ("outcome=held,store=memory", 1.0),
        ("outcome=held,store=redis", 2.0),
    ]);
    assert_eq!(attempts, expected);
    let unlocks = seen.non_zero("holdfast_unlocks_total");
    let expected = series([
        ("error=invalid,status=error,store=_unknown", 1.0),
        ("status=lock_belongs_to_others,store=memory", 1.0),
        ("status=lock_belongs_to_others,store=redis", 1.0),
        ("status=lock_does_not_exist,store=memory", 1.0),
        ("status=lock_does_not_exist,store=redis", 1.0),
        ("status=success,store=memory", 1.0),
        ("status=success,store=redis", 2.0),
    ]);
    assert_eq!(unlocks, expected);
    let holds = seen.non_zero("holdfast_lock_hold_seconds_count");
    assert_eq!(holds, series([("store=memory", 1.0), ("store=redis", 2.0)]));
    let operations = seen.non_zero("holdfast_store_operation_seconds_count");
    let expected = series([
        ("operation=acquire,store=memory", 2.0),
        ("operation=acquire,store=redis", 4.0),
        ("operation=release,store=memory", 3.0),
        ("operation=release,store=redis", 4.0),
    ]);
    assert_eq!(operations, expected);
}

fn assert_http(seen: &Exposition) {
    let requests = series([
        ("app_id=app1,method=POST,path=/v1.0-alpha1/lock/memory,status=200", 2.0),
        ("app_id=app1,method=POST,path=/v1.0-alpha1/lock/redis,status=200", 2.0),
        ("app_id=app1,method=POST,path=/v1.0-alpha1/lock/redis,status=400", 1.0),
        ("app_id=app1,method=POST,path=/v1.0-alpha1/lock/{store},status=400", 1.0),
        ("app_id=app1,method=POST,path=/v1.0-alpha1/unlock/memory,status=200", 3.0),
        ("app_id=app1,method=POST,path=/v1.0-alpha1/unlock/redis,status=200", 3.0),
        ("app_id=app1,method=POST,path=/v1.0-alpha1/unlock/{store},status=400", 1.0),
        ("app_id=app1,method=POST,path=unknown,status=404", 1.0),
    ]);
    assert_eq!(seen.non_zero("dapr_http_server_request_count"), requests);
    assert_eq!(seen.non_zero("dapr_http_server_response_count"), requests);
    assert_eq!(seen.non_zero("dapr_http_server_latency_count"), requests);
    assert_eq!(seen.get("dapr_http_server_request_bytes_count", &APP), Some(14.0));
    assert_eq!(seen.get("dapr_http_server_response_bytes_count", &APP), Some(14.0));
    // Four bodies `{}`, and those of the try-locks and unlocks.
    let lock = r#"{"resourceId":"r","lockOwner":"o","expiryInSeconds":60}"#.len();
    let unlock = r#"{"resourceId":"r","lockOwner":"o"}"#.len();
    let bytes = (4 * 2 + 4 * lock + 6 * unlock) as f64;
    assert_eq!(seen.get("dapr_http_server_request_bytes_sum", &APP), Some(bytes));
}

fn assert_grpc(seen: &Exposition) {
    let try_lock = "/dapr.proto.runtime.v1.Dapr/TryLockAlpha1";
    let unlock = "/dapr.proto.runtime.v1.Dapr/UnlockAlpha1";
    let completed = seen.non_zero("dapr_grpc_io_server_completed_rpcs");
    let call = |method: &str, status: &str| {
        format!("app_id=app1,grpc_server_method={method},grpc_server_status={status}")
    };
    let expected = BTreeMap::from([
        (call(try_lock, "InvalidArgument"), 1.0),
        (call(try_lock, "OK"), 2.0),
        (call(unlock, "OK"), 1.0),
    ]);
    assert_eq!(completed, expected);
    assert_eq!(seen.non_zero("dapr_grpc_io_server_server_latency_count"), expected);
    // Received: two bytes and the text for each field, and two bytes for the expiry. Sent: `success: true`, and
    // nothing for false.
    let of_try_lock = [("app_id", "app1"), ("grpc_server_method", try_lock)];
    let received = seen.get("dapr_grpc_io_server_received_bytes_per_rpc_sum", &of_try_lock);
    assert_eq!(received, Some(2.0 * (7.0 + 3.0 + 3.0 + 2.0) + (11.0 + 3.0 + 3.0 + 2.0)));
    let sent = seen.get("dapr_grpc_io_server_sent_bytes_per_rpc_sum", &of_try_lock);
    assert_eq!(sent, Some(2.0));
}

/// The stores of the resource files.
fn assert_components(seen: &Exposition) {
    assert_eq!(seen.get("dapr_runtime_component_loaded", &APP), Some(3.0));
    let opened = seen.non_zero("dapr_runtime_component_init_total");
    let expected = series([
        ("app_id=app1,component=lock.in-memory", 1.0),
        ("app_id=app1,component=lock.redis", 1.0),
    ]);
    assert_eq!(opened, expected);
    let failed = seen.non_zero("dapr_runtime_component_init_fail_total");
    let absent = "app_id=app1,component=lock.etcd,component_name=absent,reason=creation";
    assert_eq!(failed, series([(absent, 1.0)]));
}

/// The connections to Redis, and the policies of its store.
fn assert_redis(seen: &Exposition, redis: &RedisServer) {
    let of_redis = [("store", "redis")];
    let server = redis.address();
    let of_server = [("store", "redis"), ("server", server.as_str())];
    assert_eq!(seen.get("holdfast_redis_connections", &of_server), Some(1.0));
    let connects = seen.non_zero("holdfast_redis_connects_total");
    let success = format!("outcome=success,server={server},store=redis");
    assert_eq!(connects, series([(success.as_str(), 1.0)]));
    assert_eq!(seen.get("holdfast_circuit_breaker_state", &of_redis), Some(0.0));
    assert_eq!(seen.get("holdfast_resiliency_retries_total", &of_redis), Some(0.0));
}

/// Checks that no label has a name that a caller chose, and that every metric is defined with its type.
fn assert_defined(seen: &Exposition) {
    let stores: BTreeSet<_> = ["_unknown", "memory", "redis"].into();
    assert_eq!(seen.values("store"), stores);
    for (name, labels) in seen.names() {
        for label in labels {
            let made_up = seen.values(label).into_iter().find(|value| value.contains("made"));
            assert_eq!(made_up, None, "{name}");
        }
    }
    for (name, kind) in &seen.types {
        let metric = METRICS.iter().find(|metric| metric.name == name);
        let metric = metric.unwrap_or_else(|| panic!("{name} is not defined"));
        let listed = match metric.kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram { .. } => "histogram",
        };
        assert_eq!(kind, listed, "{name}");
    }
}

#[tokio::test]
async fn lost_connections_are_counted() {
    let mut watched = Watched::start();
    assert_eq!(watched.holdfast.try_lock("redis", "r", "o", 60).await, ACQUIRED);
    watched.redis.kill();
    let of_redis = [("store", "redis")];
    let server = watched.redis.address();
    let of_server = [("store", "redis"), ("server", server.as_str())];
    eventually("the lost connection is noticed", async || {
        watched.scrape().await.get("holdfast_redis_connections", &of_server) == Some(0.0)
    })
    .await;
    let body = r#"{"resourceId":"q","lockOwner":"o","expiryInSeconds":60}"#;
    assert_eq!(watched.holdfast.post("/v1.0-alpha1/lock/redis", body).await.0, 500);

    // A page is sent for a while after it was made.
    let failed = [("store", "redis"), ("outcome", "error"), ("error", "store_failed")];
    let failed_are = async |calls| {
        watched.scrape().await.get("holdfast_lock_attempts_total", &failed) == Some(calls)
    };
    eventually("a page with the first failure", async || failed_are(1.0).await).await;
    let seen = watched.scrape().await;
    let closed = seen.non_zero("holdfast_redis_connections_closed_total");
    let lost = format!("reason=lost,server={server},store=redis");
    assert_eq!(closed, series([(lost.as_str(), 1.0)]));
    let failures = [("store", "redis"), ("server", server.as_str()), ("outcome", "failure")];
    assert!(seen.get("holdfast_redis_connects_total", &failures) >= Some(1.0));
    assert_eq!(seen.get("holdfast_resiliency_retries_total", &of_redis), Some(1.0));
    assert_eq!(seen.get("holdfast_resiliency_refusals_total", &of_redis), Some(0.0));
    assert_eq!(seen.get("holdfast_circuit_breaker_state", &of_redis), Some(2.0));

    assert_eq!(watched.holdfast.post("/v1.0-alpha1/lock/redis", body).await.0, 500);
    eventually("a page with the second failure", async || failed_are(2.0).await).await;
    let seen = watched.scrape().await;
    assert_eq!(seen.get("holdfast_resiliency_refusals_total", &of_redis), Some(1.0));
    assert_eq!(seen.get("holdfast_lock_attempts_total", &failed), Some(2.0));
}

#[tokio::test]
async fn metrics_are_served_where_daprd_and_prometheus_expect_them() {
    let holdfast = Holdfast::serve(HOLDFAST, &[]);
    let address = holdfast.metrics().parse().unwrap();
    for target in ["/", "/metrics", "/metrics?name=value"] {
        let response = get(address, target).await;
        let text = "text/plain; version=0.0.4; charset=utf-8";
        assert_eq!((response.status, response.header("content-type")), (200, Some(text)));
        let seen = Exposition::parse(&response.body);
        assert_eq!(seen.get("dapr_runtime_component_loaded", &[]), Some(1.0), "{target}");
    }
    assert_eq!(get(address, "/v1.0/healthz").await.status, 404);
    assert_eq!(post(address, "/metrics", "").await.status, 405);

    let none = Holdfast::serve(HOLDFAST, &["--enable-metrics=false"]);
    assert!(!none.log().contains("metrics on http://"), "{}", none.log());
    assert_eq!(none.try_lock("lockstore", "r", "o", 60).await, ACQUIRED);
}

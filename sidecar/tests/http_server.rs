//! What surrounds the lock calls: health, metadata, the token, overload, ends of servers and clients.

#![allow(clippy::unwrap_used, reason = "helpers of tests may panic as tests do")]

mod support;

use std::time::Duration;

use holdfast::{Limits, store::memory::MemoryStore};
use holdfast_tests::http_api::{self, LOCK};
use support::{
    Event, Gate, LONG, exchange, get, lock_body, post, received, request, serve, serve_memory,
    serve_store, sidecar,
};
use tokio::{io::AsyncWriteExt, net::TcpStream};

/// A try-lock on a connection of its own, of which nothing is read yet.
async fn send_lock(address: std::net::SocketAddr, resource: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = request("POST", LOCK, "", lock_body(resource, "o").as_bytes());
    stream.write_all(&request).await.unwrap();
    stream
}

#[tokio::test]
async fn health_checks_tell_whether_it_is_ready_and_whose_it_is() {
    let server = serve_memory().await;
    http_api::health(server.address).await;

    server.sidecar.readiness().set_ending();
    for (target, code) in [
        ("/v1.0/healthz", "ERR_HEALTH_NOT_READY"),
        ("/v1.0/healthz/outbound", "ERR_OUTBOUND_HEALTH_NOT_READY"),
    ] {
        let response = get(server.address, target).await;
        assert_eq!(response.status, 500, "{target}");
        let start = format!(r#"{{"errorCode":"{code}","message":"dapr "#);
        assert!(response.body.starts_with(&start), "{}", response.body);
    }
}

#[tokio::test]
async fn metadata_has_the_shape_that_clients_of_dapr_know() {
    let server = serve_memory().await;
    let put = request("PUT", "/v1.0/metadata/my%20key", "", b"a \"value\"");
    let put = exchange(server.address, &put).await;
    assert_eq!((put.status, put.body.as_str()), (204, ""));

    let response = get(server.address, "/v1.0/metadata").await;
    assert_eq!(response.status, 200);
    assert_eq!(response.header("content-type"), Some("application/json"));
    let version = format!("1.18.0+holdfast.{}", env!("CARGO_PKG_VERSION"));
    let expected = serde_json::json!({
        "id": "app1",
        "runtimeVersion": version,
        "actors": [],
        "components": [
            {"name": "lockstore", "type": "lock.in-memory", "version": "v1", "capabilities": []},
        ],
        "extended": {"daprRuntimeVersion": version, "my key": "a \"value\""},
        "subscriptions": [],
        "httpEndpoints": [],
        "appConnectionProperties": {},
        "actorRuntime": {"runtimeStatus": "DISABLED", "hostReady": false},
    });
    let document: serde_json::Value = serde_json::from_str(&response.body).unwrap();
    assert_eq!(document, expected);
}

#[tokio::test]
async fn with_a_token_only_health_checks_are_open() {
    let sidecar = sidecar(MemoryStore::new(), Limits::default(), Some("secret"));
    assert!(!format!("{sidecar:?}").contains("secret"));
    let server = serve(sidecar, LONG).await;
    http_api::token(server.address).await;
}

#[tokio::test]
async fn an_empty_token_is_none() {
    let server = serve(sidecar(MemoryStore::new(), Limits::default(), Some("")), LONG).await;
    assert_eq!(get(server.address, "/v1.0/metadata").await.status, 200);
}

#[tokio::test]
async fn overload_is_refused_at_once() {
    let (gate, permits, mut events) = Gate::new();
    let mut limits = Limits::default();
    (limits.in_flight, limits.waiting) = (1, 0);
    let server = serve_store(gate, limits).await;
    let first = send_lock(server.address, "a").await;
    assert_eq!(events.recv().await, Some(Event::Entered));

    let refused = post(server.address, LOCK, lock_body("b", "o")).await;
    assert_eq!(refused.status, 503);
    assert_eq!(refused.header("retry-after"), Some("1"));
    assert_eq!(refused.header("content-type"), Some("application/json"));
    assert_eq!(
        refused.body,
        r#"{"errorCode":"ERR_LOCK_OVERLOADED","message":"too many calls: 1 in flight and 0 waiting"}"#
    );
    permits.add_permits(1);
    assert_eq!(received(first).await.body, r#"{"success":true}"#);
}

#[tokio::test]
async fn the_end_waits_for_requests_in_flight() {
    let (gate, permits, mut events) = Gate::new();
    let server = serve_store(gate, Limits::default()).await;
    let in_flight = send_lock(server.address, "a").await;
    assert_eq!(events.recv().await, Some(Event::Entered));

    server.ending.cancel();
    // Its listener is dropped once the end has begun.
    while TcpStream::connect(server.address).await.is_ok() {
        tokio::task::yield_now().await;
    }
    assert!(!server.serving.is_finished());
    permits.add_permits(1);
    assert_eq!(received(in_flight).await.body, r#"{"success":true}"#);
    tokio::time::timeout(LONG, server.serving).await.unwrap().unwrap();
}

#[tokio::test]
async fn the_end_does_not_wait_for_ever() {
    let (gate, _permits, mut events) = Gate::new();
    let server = serve(sidecar(gate, Limits::default(), None), Duration::from_millis(10)).await;
    let _in_flight = send_lock(server.address, "a").await;
    assert_eq!(events.recv().await, Some(Event::Entered));

    server.ending.cancel();
    tokio::time::timeout(LONG, server.serving).await.unwrap().unwrap();
    assert_eq!(events.recv().await, Some(Event::Dropped));
}

#[tokio::test]
async fn idle_connections_do_not_hold_up_the_end() {
    let server = serve_memory().await;
    let idle = TcpStream::connect(server.address).await.unwrap();
    assert_eq!(get(server.address, "/v1.0/healthz").await.status, 204);
    server.ending.cancel();
    tokio::time::timeout(LONG, server.serving).await.unwrap().unwrap();
    drop(idle);
}

#[tokio::test]
async fn a_client_that_goes_away_takes_its_call_along() {
    let (gate, _permits, mut events) = Gate::new();
    let server = serve_store(gate, Limits::default()).await;
    let client = send_lock(server.address, "a").await;
    assert_eq!(events.recv().await, Some(Event::Entered));
    drop(client);
    let event = tokio::time::timeout(LONG, events.recv()).await.unwrap();
    assert_eq!(event, Some(Event::Dropped));
}

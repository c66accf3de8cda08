//! Health, metadata, token, overload and shutdown over HTTP.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use holdfast::{Limits, store::memory::MemoryStore};
use holdfast_tests::{
    LONG,
    fake_store::{Answer, Event, FakeStore},
    http_api::{self, ACQUIRED, LOCK},
    http_client::{exchange, get, lock_body, post, received, request},
};
use tokio::{io::AsyncWriteExt, net::TcpStream};

use crate::server::{http, http_with_grace, in_memory, over, sidecar};

/// Sends a try-lock on a connection of its own, and does not read the response.
async fn send_lock(address: SocketAddr, resource: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = request("POST", LOCK, "", lock_body(resource, "o").as_bytes());
    stream.write_all(&request).await.unwrap();
    stream
}

#[tokio::test]
async fn health_checks_report_readiness_and_the_app_id() {
    let server = http(in_memory()).await;
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
async fn metadata_has_the_shape_of_daprs() {
    let server = http(in_memory()).await;
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
        "enabledFeatures": [],
        "components": [
            {"name": "lockstore", "type": "lock.in-memory", "version": "v1"},
        ],
        "extended": {"daprRuntimeVersion": version, "my key": "a \"value\""},
        "appConnectionProperties": {},
        "actorRuntime": {"runtimeStatus": "DISABLED", "hostReady": false},
    });
    let document: serde_json::Value = serde_json::from_str(&response.body).unwrap();
    assert_eq!(document, expected);
}

#[tokio::test]
async fn metadata_has_room_for_a_number_of_entries_of_a_size() {
    let server = http(in_memory()).await;
    let put = async |key: &str, value: &[u8]| {
        let put = request("PUT", &format!("/v1.0/metadata/{key}"), "", value);
        exchange(server.address, &put).await
    };
    let long = put("k", &vec![b'v'; 16 << 10]).await;
    let message = "the key and the value of an entry may have 16384 bytes together";
    assert_eq!((long.status, long.body), (400, http_api::error("ERR_METADATA_LIMIT", message)));
    for number in 0..128 {
        assert_eq!(put(&format!("k{number}"), b"v").await.status, 204);
    }
    let more = put("k128", b"v").await;
    let message = "the metadata has 128 added entries already, which is the limit";
    assert_eq!((more.status, more.body), (400, http_api::error("ERR_METADATA_LIMIT", message)));
    assert_eq!(put("k127", b"another").await.status, 204);
}

#[tokio::test]
async fn metadata_has_room_for_a_number_of_bytes_of_json() {
    let server = http(in_memory()).await;
    let put = async |key: &str, value: &[u8]| {
        let put = request("PUT", &format!("/v1.0/metadata/{key}"), "", value);
        exchange(server.address, &put).await
    };
    // Each byte of these has six in JSON.
    let escaped = vec![1; 10_000];
    for key in ["a", "b", "c", "d"] {
        assert_eq!(put(key, &escaped).await.status, 204);
    }
    let more = put("e", &escaped).await;
    let message = "the added metadata may have 262144 bytes of JSON together";
    assert_eq!((more.status, more.body), (400, http_api::error("ERR_METADATA_LIMIT", message)));
    let before = get(server.address, "/v1.0/metadata").await.body;
    assert!((240_000..280_000).contains(&before.len()), "{} bytes", before.len());

    // One that is replaced gives its room back, and answers have the new value.
    assert_eq!(put("a", b"short").await.status, 204);
    assert_eq!(put("e", &escaped).await.status, 204);
    let after = get(server.address, "/v1.0/metadata").await.body;
    let after: serde_json::Value = serde_json::from_str(&after).unwrap();
    assert_eq!(after["extended"]["a"], "short");
    assert_eq!(after["extended"]["e"].as_str().map(str::len), Some(escaped.len()));
}

#[tokio::test]
async fn requests_that_go_refuses_are_refused() {
    let server = http(in_memory()).await;
    let post = |head: &str| format!("POST {LOCK} {head}\r\n\r\n0\r\n\r\n");
    for (head, status, text) in [
        ("HTTP/1.1", 400, "400 Bad Request: missing required Host header"),
        ("HTTP/1.1\r\nHost: a\r\nHost: b", 400, "400 Bad Request"),
        ("HTTP/1.1\r\nHost: a/b", 400, "400 Bad Request: malformed Host header"),
        ("HTTP/1.1\r\nHost: a b", 400, "400 Bad Request: malformed Host header"),
        (
            "HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked",
            501,
            "Unsupported transfer encoding",
        ),
        (
            "HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\nTransfer-Encoding: chunked",
            501,
            "Unsupported transfer encoding",
        ),
        ("HTTP/1.1\r\nHost: a\r\nExpect: 200-ok", 417, ""),
        ("HTTP/1.0\r\nExpect: 200-ok", 417, ""),
    ] {
        let refused = exchange(server.address, post(head).as_bytes()).await;
        assert_eq!((refused.status, refused.body.as_str()), (status, text), "{head}");
        assert_eq!(refused.header("connection"), Some("close"), "{head}");
    }
    for host in ["Host: ", "Host: [::1]:3500", "Host: a.example:80", "Host: a_b"] {
        let request = format!("GET /v1.0/healthz HTTP/1.1\r\n{host}\r\nConnection: close\r\n\r\n");
        assert_eq!(exchange(server.address, request.as_bytes()).await.status, 204, "{host}");
    }
    for expected in ["100-Continue", "", "a, 100-continue"] {
        let request = format!(
            "GET /v1.0/healthz HTTP/1.1\r\nHost: a\r\nExpect: {expected}\r\nConnection: close\r\n\r\n"
        );
        assert_eq!(exchange(server.address, request.as_bytes()).await.status, 204, "{expected}");
    }
    let old = exchange(server.address, b"GET /v1.0/healthz HTTP/1.0\r\n\r\n").await;
    assert_eq!(old.status, 204);
}

/// Go's server answers for daprd, without a token.
#[tokio::test]
async fn the_options_of_the_server_are_none() {
    let server =
        http(sidecar(Arc::new(MemoryStore::new()), Limits::default(), Some("secret"))).await;
    let reply = exchange(server.address, &request("OPTIONS", "*", "", b"")).await;
    assert_eq!((reply.status, reply.header("content-length")), (200, Some("0")));
    let reply = exchange(server.address, &request("OPTIONS", "/v1.0/metadata", "", b"")).await;
    assert_eq!(reply.status, 401);
}

#[tokio::test]
async fn the_http_library_reads_some_heads_in_another_way_than_go() {
    let server = http(in_memory()).await;
    let healthz = "GET /v1.0/healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    let status = async |request: &[u8]| exchange(server.address, request).await.status;
    assert_eq!(status(format!("\r\n{healthz}").as_bytes()).await, 204);
    let at = |path: &[u8]| {
        [b"GET /v1.0/", path, b" HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"].concat()
    };
    for (path, expected) in
        [(&b"a\"b"[..], 404), (b"a<b", 400), (b"a>b", 400), (b"a`b", 400), (b"a\xffb", 400)]
    {
        assert_eq!(status(&at(path)).await, expected, "{}", String::from_utf8_lossy(path));
    }
    let head =
        "GET /v1.0/healthz HTTP/1.1\r\nHost: a\r\nContent-Length: 18446744073709551615\r\n\r\n";
    assert_eq!(status(head.as_bytes()).await, 431);
}

#[tokio::test]
async fn four_hundred_header_fields_are_accepted() {
    let server = http(in_memory()).await;
    let fields: String = (0..400).map(|number| format!("x-field-{number}: 1\r\n")).collect();
    let request = request("GET", "/v1.0/healthz", &fields, b"");
    assert_eq!(exchange(server.address, &request).await.status, 204);
}

#[tokio::test]
async fn the_token_is_required_except_for_health_checks() {
    let sidecar = sidecar(Arc::new(MemoryStore::new()), Limits::default(), Some("secret"));
    assert!(!format!("{sidecar:?}").contains("secret"));
    let server = http(sidecar).await;
    http_api::token(server.address).await;
}

#[tokio::test]
async fn an_empty_token_is_no_token() {
    let store = Arc::new(MemoryStore::new());
    let server = http(sidecar(store, Limits::default(), Some(""))).await;
    assert_eq!(get(server.address, "/v1.0/metadata").await.status, 200);
}

#[tokio::test]
async fn overload_is_refused_at_once() {
    let store = FakeStore::always(Answer::Yes.when_allowed());
    let mut limits = Limits::default();
    (limits.in_flight, limits.waiting) = (1, 0);
    let server = http(sidecar(store.clone(), limits, None)).await;
    let first = send_lock(server.address, "a").await;
    assert_eq!(store.event().await, Event::Called);

    let refused = post(server.address, LOCK, lock_body("b", "o")).await;
    assert_eq!(refused.status, 503);
    assert_eq!(refused.header("retry-after"), Some("1"));
    assert_eq!(refused.header("content-type"), Some("application/json"));
    assert_eq!(
        refused.body,
        r#"{"errorCode":"ERR_LOCK_OVERLOADED","message":"too many calls: 1 in flight and 0 waiting"}"#
    );
    store.let_through(1);
    assert_eq!(received(first).await.body, ACQUIRED);
}

#[tokio::test]
async fn shutdown_waits_for_requests_in_flight() {
    let store = FakeStore::always(Answer::Yes.when_allowed());
    let server = http(over(store.clone())).await;
    let in_flight = send_lock(server.address, "a").await;
    assert_eq!(store.event().await, Event::Called);

    server.ending.cancel();
    // The listener is dropped once the shutdown has begun.
    while TcpStream::connect(server.address).await.is_ok() {
        tokio::task::yield_now().await;
    }
    assert!(!server.serving.is_finished());
    store.let_through(1);
    assert_eq!(received(in_flight).await.body, ACQUIRED);
    tokio::time::timeout(LONG, server.serving).await.unwrap().unwrap();
}

#[tokio::test]
async fn shutdown_waits_no_longer_than_the_grace_period() {
    let store = FakeStore::always(Answer::Yes.when_allowed());
    let server = http_with_grace(over(store.clone()), Duration::from_millis(10)).await;
    let _in_flight = send_lock(server.address, "a").await;
    assert_eq!(store.event().await, Event::Called);

    server.ending.cancel();
    tokio::time::timeout(LONG, server.serving).await.unwrap().unwrap();
    assert_eq!(store.event().await, Event::Dropped);
}

#[tokio::test]
async fn idle_connections_do_not_delay_shutdown() {
    let server = http(in_memory()).await;
    let idle = TcpStream::connect(server.address).await.unwrap();
    assert_eq!(get(server.address, "/v1.0/healthz").await.status, 204);
    server.ending.cancel();
    tokio::time::timeout(LONG, server.serving).await.unwrap().unwrap();
    drop(idle);
}

#[tokio::test]
async fn a_call_ends_when_its_client_leaves() {
    let store = FakeStore::always(Answer::Yes.when_allowed());
    let server = http(over(store.clone())).await;
    let client = send_lock(server.address, "a").await;
    assert_eq!(store.event().await, Event::Called);
    drop(client);
    assert_eq!(store.event().await, Event::Dropped);
}

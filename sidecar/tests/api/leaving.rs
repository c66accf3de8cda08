//! Callers over HTTP who leave, or close only their side of the connection.
//!
//! Until it answers, the server cannot distinguish the two. So it treats a caller as gone only if it could otherwise
//! grant a lock that nobody would receive.

use std::net::SocketAddr;

use holdfast::Resource;
use holdfast_tests::{
    STORE, eventually,
    fake_store::{Answer, Event, FakeStore},
    holdfast::Holdfast,
    http_api::{LOCK, UNLOCK},
    http_client::{Response, lock_body, post, received},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::{
    HOLDFAST,
    server::{http, in_memory, over},
};

/// Sends a request, and nothing after it.
async fn last(address: SocketAddr, method: &str, target: &str, body: &str) -> TcpStream {
    let length = body.len();
    let request =
        format!("{method} {target} HTTP/1.1\r\nHost: l\r\nContent-Length: {length}\r\n\r\n{body}");
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    stream.shutdown().await.unwrap();
    stream
}

async fn asked(address: SocketAddr, method: &str, target: &str, body: &str) -> Response {
    received(last(address, method, target, body).await).await
}

#[tokio::test]
async fn a_client_that_has_finished_sending_is_answered() {
    let server = http(in_memory()).await;
    let body = r#"{"resourceId":"r","lockOwner":"o","ttl":"60s"}"#;
    for _ in 0..30 {
        let taken = post(server.address, "/v1.0/leases/lockstore/acquire", body).await;
        assert_eq!(taken.status, 200);
        for (method, target, body, status) in [
            ("GET", "/v1.0/healthz", "", 204),
            ("GET", "/v1.0/metadata", "", 200),
            ("PUT", "/v1.0/metadata/k", "v", 204),
            ("GET", "/openapi.json", "", 200),
            ("GET", "/other", "", 404),
            ("POST", "/v1.0/leases/lockstore/extend", body, 200),
            ("POST", "/v1.0/leases/lockstore/inspect", r#"{"resourceId":"r"}"#, 200),
            (
                "POST",
                "/v1.0/leases/lockstore/release",
                r#"{"resourceId":"r","lockOwner":"o"}"#,
                200,
            ),
        ] {
            let answer = asked(server.address, method, target, body).await;
            assert_eq!(answer.status, status, "{method} {target}: {}", answer.body);
        }
    }
}

#[tokio::test]
async fn metrics_and_the_public_port_answer_clients_that_have_finished_sending() {
    let public = ["--dapr-public-port", "0", "--dapr-public-listen-address", "127.0.0.1"];
    let holdfast = Holdfast::serve(HOLDFAST, &public);
    let (metrics, public) = (holdfast.metrics(), holdfast.public());
    for _ in 0..30 {
        let answer = asked(metrics.parse().unwrap(), "GET", "/metrics", "").await;
        assert_eq!(answer.status, 200);
        let answer = asked(public.parse().unwrap(), "GET", "/v1.0/healthz", "").await;
        assert_eq!(answer.status, 204);
    }
}

#[tokio::test]
async fn an_unlock_whose_caller_sends_nothing_more_is_made() {
    let store = FakeStore::always(Answer::Yes.when_allowed());
    let server = http(over(store.clone())).await;
    let caller = last(server.address, "POST", UNLOCK, &lock_body("r", "o")).await;
    assert_eq!(store.event().await, Event::Called);
    // The server has seen that nothing more comes once it has served somebody who came later.
    assert_eq!(asked(server.address, "GET", "/v1.0/healthz", "").await.status, 204);
    store.let_through(1);
    assert_eq!(store.event().await, Event::Answered);
    assert_eq!(received(caller).await.body, r#"{"status":0}"#);
}

#[tokio::test]
async fn an_unlock_whose_caller_has_left_is_made() {
    let store = FakeStore::always(Answer::Yes.when_allowed());
    let server = http(over(store.clone())).await;
    drop(last(server.address, "POST", UNLOCK, &lock_body("r", "o")).await);
    assert_eq!(store.event().await, Event::Called);
    store.let_through(1);
    assert_eq!(store.event().await, Event::Answered);
}

#[tokio::test]
async fn what_would_be_granted_to_whoever_sends_nothing_more_is_given_back() {
    let store = FakeStore::always(Answer::Yes.when_allowed());
    let server = http(over(store.clone())).await;
    let lease = r#"{"resourceId":"r","ttl":"60s"}"#;
    for (target, body) in [
        (LOCK, &*lock_body("r", "o")),
        ("/v1.0-alpha1//lock/lockstore", &lock_body("r", "o")),
        ("/v1.0/leases/lockstore/acquire", lease),
        ("/v1.0/leases/lockstore/hold", lease),
    ] {
        let mut caller = last(server.address, "POST", target, body).await;
        assert_eq!(store.event().await, Event::Called, "{target}");
        assert_eq!(store.event().await, Event::Dropped, "{target}");
        let mut answer = Vec::new();
        caller.read_to_end(&mut answer).await.unwrap();
        assert_eq!(String::from_utf8_lossy(&answer), "", "{target}");
    }
}

#[tokio::test]
async fn a_hold_ends_when_its_caller_sends_nothing_more() {
    let server = http(in_memory()).await;
    let body = r#"{"resourceId":"r","ttl":"60s"}"#;
    let mut caller = last(server.address, "POST", "/v1.0/leases/lockstore/hold", body).await;
    // Depending on which comes first, it has reported that it held the lock.
    let mut answer = Vec::new();
    caller.read_to_end(&mut answer).await.unwrap();
    let locks = server.sidecar.locks();
    let resource = Resource { store: STORE, id: "r" };
    eventually("it is free", async || locks.inspect(resource).await.unwrap().is_none()).await;
}

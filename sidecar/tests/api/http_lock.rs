//! The lock calls over HTTP, byte for byte.

use std::{net::SocketAddr, sync::Arc};

use bytes::Bytes;
use holdfast::{Limits, Locks, store::memory::MemoryStore};
use holdfast_sidecar::Sidecar;
use holdfast_tests::{
    LONG,
    fake_store::{Answer, FakeStore, not_done},
    http_api::{self, ACQUIRED, HELD, LOCK, MAX_BODY, MISSING, UNLOCK, error},
    http_client::{exchange, lock_body, post, request},
};
use http_body_util::{BodyExt, Full};
use hyper::{
    Request,
    client::conn::http2::{self, SendRequest},
    header::{CONTENT_LENGTH, CONTENT_TYPE},
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::server::{http, in_memory, over, sidecar};

#[tokio::test]
async fn the_calls_of_the_guide_are_answered_byte_for_byte() {
    http_api::guide(http(in_memory()).await.address).await;
}

#[tokio::test]
async fn every_error_has_its_status_code_and_message() {
    http_api::errors(http(in_memory()).await.address).await;
}

#[tokio::test]
async fn without_a_store_calls_say_so() {
    let locks = Locks::builder().build().unwrap();
    let server = http(Sidecar::new(locks, "", Vec::new(), None)).await;
    for target in [LOCK, UNLOCK] {
        let response = post(server.address, target, lock_body("r", "o")).await;
        let expected = error("ERR_LOCK_STORE_NOT_CONFIGURED", "lock store is not configured");
        assert_eq!((response.status, response.body), (500, expected));
    }
}

#[tokio::test]
async fn the_failure_of_a_store_is_quoted() {
    let down = FakeStore::always(Answer::Failure(not_done("no \"connection\"")));
    let server = http(over(down)).await;
    for (target, code, doing) in [
        (LOCK, "ERR_TRY_LOCK", "failed to try acquiring lock"),
        (UNLOCK, "ERR_UNLOCK", "failed to release lock"),
    ] {
        let response = post(server.address, target, lock_body("r", "o")).await;
        let expected = error(code, &format!(r#"{doing}: no \"connection\""#));
        assert_eq!((response.status, response.body), (500, expected));
    }
}

#[tokio::test]
async fn bodies_that_dapr_accepts_are_accepted() {
    http_api::forgiven(http(in_memory()).await.address).await;
}

#[tokio::test]
async fn a_body_may_have_four_mebibytes_and_no_more() {
    http_api::bounded_bodies(http(in_memory()).await.address).await;
}

#[tokio::test]
async fn a_huge_body_is_refused_unread() {
    http_api::huge_bodies(http(in_memory()).await.address).await;
}

#[tokio::test]
async fn a_component_that_runs_out_of_memory_fails_only_its_request() {
    let mut limits = Limits::default();
    limits.instance_memory = 2 << 20;
    let server = http(sidecar(Arc::new(MemoryStore::new()), limits, None)).await;
    for (target, code, doing) in [
        (LOCK, "ERR_TRY_LOCK", "failed to try acquiring lock: "),
        (UNLOCK, "ERR_UNLOCK", "failed to release lock: "),
    ] {
        let response = post(server.address, target, vec![b' '; MAX_BODY]).await;
        let start = error(code, doing);
        let start = start.trim_end_matches("\"}");
        assert_eq!(response.status, 500);
        assert!(response.body.starts_with(start), "{}", response.body);
    }
    let after = post(server.address, LOCK, lock_body("r", "o")).await;
    assert_eq!(after.body, ACQUIRED);
}

#[tokio::test]
async fn paths_are_cleaned_and_then_unescaped() {
    http_api::paths(http(in_memory()).await.address).await;
}

#[tokio::test]
async fn other_methods_and_paths_are_not_found() {
    http_api::unknown(http(in_memory()).await.address).await;
}

/// A connection of HTTP/2.
async fn over_http2(address: SocketAddr) -> SendRequest<Full<Bytes>> {
    let stream = TcpStream::connect(address).await.unwrap();
    let handshake = http2::handshake(TokioExecutor::new(), TokioIo::new(stream));
    let (sender, connection) = handshake.await.unwrap();
    tokio::spawn(connection);
    sender
}

#[tokio::test]
async fn http_2_is_served_on_the_same_port() {
    let server = http(in_memory()).await;
    let mut sender = over_http2(server.address).await;
    let uri = format!("http://{}{LOCK}", server.address);
    for reply in [ACQUIRED, HELD] {
        let body = Full::new(Bytes::from(lock_body("r", "o")));
        let request = Request::post(&uri).body(body).unwrap();
        let response = sender.send_request(request).await.unwrap();
        assert_eq!(response.headers()[CONTENT_TYPE], "application/json");
        let body = response.into_body().collect().await.unwrap().to_bytes();
        assert_eq!(body, reply.as_bytes());
    }
}

/// The client takes a body for a protocol error.
#[tokio::test]
async fn a_head_over_http_2_is_answered_without_the_body() {
    let server = http(in_memory()).await;
    let mut sender = over_http2(server.address).await;
    for target in ["/v1.0/healthz", "/nope", "/v1.0/metadata"] {
        let plain = exchange(server.address, &request("HEAD", target, "", b"")).await;
        let head = Request::head(format!("http://{}{target}", server.address));
        let head = head.body(Full::default()).unwrap();
        let response = sender.send_request(head).await.unwrap();
        assert_eq!(response.status(), plain.status, "{target}");
        let length = response.headers().get(CONTENT_LENGTH).map(|it| it.to_str().unwrap());
        assert_eq!(length, plain.header("content-length"), "{target}");
        assert!(length.is_some(), "{target}");
        let body = response.into_body().collect().await.unwrap().to_bytes();
        assert_eq!(body, "", "{target}");
    }
}

#[tokio::test]
async fn one_connection_serves_several_requests() {
    let server = http(in_memory()).await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    for reply in [MISSING; 3] {
        let body = lock_body("r", "o");
        let request = format!(
            "POST {UNLOCK} HTTP/1.1\r\nHost: l\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut got = Vec::new();
        while !got.ends_with(reply.as_bytes()) {
            let more = tokio::time::timeout(LONG, stream.read_buf(&mut got));
            assert_ne!(more.await.unwrap().unwrap(), 0, "{}", String::from_utf8_lossy(&got));
        }
    }
}

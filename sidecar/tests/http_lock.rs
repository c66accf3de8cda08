//! The two lock calls over a real socket, byte for byte.

#![allow(clippy::unwrap_used, reason = "helpers of tests may panic as tests do")]

mod support;

use std::time::Duration;

use bytes::Bytes;
use holdfast::{Limits, Locks, store::memory::MemoryStore};
use holdfast_sidecar::Sidecar;
use holdfast_tests::http_api::{self, LOCK, MAX_BODY, UNLOCK, error};
use http_body_util::{BodyExt, Full};
use hyper::{Request, header::CONTENT_TYPE};
use hyper_util::rt::{TokioExecutor, TokioIo};
use support::{Down, LONG, lock_body, post, serve, serve_memory, serve_store};
use tokio::net::TcpStream;

#[tokio::test]
async fn the_calls_of_the_guide_are_answered_byte_for_byte() {
    http_api::guide(serve_memory().await.address).await;
}

#[tokio::test]
async fn each_row_of_the_error_table() {
    http_api::errors(serve_memory().await.address).await;
}

#[tokio::test]
async fn no_store_at_all() {
    let locks = Locks::builder().build().unwrap();
    let server = serve(Sidecar::new(locks, "", Vec::new(), None), LONG).await;
    for target in [LOCK, UNLOCK] {
        let response = post(server.address, target, lock_body("r", "o")).await;
        let expected = error("ERR_LOCK_STORE_NOT_CONFIGURED", "lock store is not configured");
        assert_eq!((response.status, response.body), (500, expected));
    }
}

#[tokio::test]
async fn a_store_that_fails() {
    let server = serve_store(Down, Limits::default()).await;
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
async fn what_dapr_forgives_is_forgiven() {
    http_api::forgiven(serve_memory().await.address).await;
}

#[tokio::test]
async fn a_body_of_four_mebibytes_is_read_and_no_more() {
    http_api::bounded_bodies(serve_memory().await.address).await;
}

#[tokio::test]
async fn of_a_huge_body_nothing_is_read() {
    http_api::huge_bodies(serve_memory().await.address).await;
}

#[tokio::test]
async fn a_component_that_runs_out_of_memory_is_one_failed_request() {
    let mut limits = Limits::default();
    limits.instance_memory = 2 << 20;
    let server = serve_store(MemoryStore::new(), limits).await;
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
    assert_eq!(after.body, r#"{"success":true}"#);
}

#[tokio::test]
async fn paths_are_cleaned_and_then_unescaped() {
    http_api::paths(serve_memory().await.address).await;
}

#[tokio::test]
async fn everything_else_is_not_found_and_never_not_allowed() {
    http_api::unknown(serve_memory().await.address).await;
}

#[tokio::test]
async fn http_2_is_served_on_the_same_port() {
    let server = serve_memory().await;
    let stream = TcpStream::connect(server.address).await.unwrap();
    let handshake =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream));
    let (mut sender, connection) = handshake.await.unwrap();
    tokio::spawn(connection);
    let uri = format!("http://{}{LOCK}", server.address);
    for reply in [r#"{"success":true}"#, r#"{"success":false}"#] {
        let body = Full::new(Bytes::from(lock_body("r", "o")));
        let request = Request::post(&uri).body(body).unwrap();
        let response = sender.send_request(request).await.unwrap();
        assert_eq!(response.headers()[CONTENT_TYPE], "application/json");
        let body = response.into_body().collect().await.unwrap().to_bytes();
        assert_eq!(body, reply.as_bytes());
    }
}

#[tokio::test]
async fn requests_follow_each_other_on_one_connection() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let server = serve_memory().await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    for reply in [r#"{"status":1}"#; 3] {
        let body = lock_body("r", "o");
        let request = format!(
            "POST {UNLOCK} HTTP/1.1\r\nHost: l\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut got = Vec::new();
        while !got.ends_with(reply.as_bytes()) {
            let more = tokio::time::timeout(Duration::from_secs(60), stream.read_buf(&mut got));
            assert_ne!(more.await.unwrap().unwrap(), 0, "{}", String::from_utf8_lossy(&got));
        }
    }
}

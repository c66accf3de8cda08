//! The end of the server: callers can unlock, and no request is reset.

use std::time::Duration;

use holdfast_tests::{
    LONG, eventually,
    grpc_client::Client,
    holdfast::Holdfast,
    http_api::{ACQUIRED, LOCK, UNLOCK},
    http_client::{get, lock_body, post},
};
use rustix::process::Signal;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::{
    HOLDFAST,
    server::{Served, grpc, http, http_with_grace, in_memory},
};

/// A request whose connection stays open.
fn call(target: &str) -> Vec<u8> {
    let body = lock_body("r", "o");
    format!("POST {target} HTTP/1.1\r\nHost: l\r\nContent-Length: {}\r\n\r\n{body}", body.len())
        .into()
}

/// Sends a request and reads until the reply ends in these bytes.
async fn answer(stream: &mut TcpStream, request: &[u8], end: &str) -> String {
    stream.write_all(request).await.unwrap();
    let mut got = Vec::new();
    while !got.ends_with(end.as_bytes()) {
        let more = tokio::time::timeout(LONG, stream.read_buf(&mut got));
        assert_ne!(more.await.unwrap().unwrap(), 0, "{}", String::from_utf8_lossy(&got));
    }
    String::from_utf8(got).unwrap()
}

/// Begins the shutdown, and waits until it has begun.
async fn begin_to_end(server: &Served) {
    server.ending.cancel();
    while !server.sidecar.readiness().is_ending() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_lock_that_is_held_can_be_unlocked_on_an_open_connection() {
    let server = http(in_memory()).await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    let locked = answer(&mut stream, &call(LOCK), ACQUIRED).await;
    assert!(!locked.contains("connection: close"), "{locked}");

    begin_to_end(&server).await;
    assert_eq!(get(server.address, "/v1.0/healthz").await.status, 500);
    let unlocked = answer(&mut stream, &call(UNLOCK), r#"{"status":0}"#).await;
    assert!(unlocked.contains("connection: close"), "{unlocked}");
    assert_eq!(stream.read(&mut [0]).await.unwrap(), 0);
    // Nothing is held any more, so there is nothing to wait for.
    tokio::time::timeout(LONG / 2, server.serving).await.expect("an end").unwrap();
}

#[tokio::test]
async fn a_lock_that_is_held_can_be_unlocked_on_a_new_connection() {
    let server = http(in_memory()).await;
    assert_eq!(post(server.address, LOCK, lock_body("r", "o")).await.body, ACQUIRED);
    begin_to_end(&server).await;
    assert_eq!(post(server.address, UNLOCK, lock_body("r", "o")).await.body, r#"{"status":0}"#);
    tokio::time::timeout(LONG / 2, server.serving).await.expect("an end").unwrap();
}

#[tokio::test]
async fn a_lock_that_is_held_can_be_unlocked_over_grpc() {
    let server = grpc(in_memory()).await;
    let mut client = Client::new(server.address).await;
    assert!(client.try_lock("lockstore", "r", "o", 60).await.unwrap());
    assert!(client.try_lock("lockstore", "r2", "o", 60).await.unwrap());
    begin_to_end(&server).await;
    for resource in ["r", "r2"] {
        let freed = client.unlock("lockstore", resource, "o").await.unwrap();
        assert_eq!(freed as i32, 0);
    }
    tokio::time::timeout(LONG / 2, server.serving).await.expect("an end").unwrap();
}

#[tokio::test]
async fn a_lock_that_nobody_unlocks_is_waited_for_no_longer_than_the_grace_period() {
    let server = http_with_grace(in_memory(), Duration::from_millis(100)).await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    answer(&mut stream, &call(LOCK), ACQUIRED).await;
    server.ending.cancel();
    tokio::time::timeout(LONG, server.serving).await.expect("an end").unwrap();
    assert_eq!(stream.read(&mut [0]).await.unwrap(), 0);
}

#[tokio::test]
async fn serving_goes_on_for_the_duration_that_blocks_the_shutdown() {
    let arguments = ["--dapr-block-shutdown-duration", "1h"];
    let mut server = Holdfast::serve(HOLDFAST, &arguments);
    server.signal(Signal::TERM);
    server.wait_for("serving until then");
    let address = server.http().parse().unwrap();
    eventually("failing health checks", async || get(address, "/v1.0/healthz").await.status == 500)
        .await;
    assert_eq!(server.try_lock("lockstore", "r", "o", 60).await, ACQUIRED);
    // A second signal ends it at once.
    assert_eq!(server.end_by(Signal::TERM), Some(1));
}

#[tokio::test]
async fn the_shutdown_begins_after_the_duration_that_blocks_it() {
    let arguments = ["--dapr-block-shutdown-duration", "50ms"];
    let server = Holdfast::serve(HOLDFAST, &arguments);
    let (code, log) = server.end().await;
    assert_eq!(code, 0, "{log}");
    assert!(log.contains("the shutdown begins in 50ms"), "{log}");
}

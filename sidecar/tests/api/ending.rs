//! The end of the server: callers can unlock, and no request is reset.

use std::{io::Write, net::SocketAddr, time::Duration};

use holdfast_proto::leases::{AcquireRequest, HoldRequest, leases_client::LeasesClient};
use holdfast_tests::{
    LONG, eventually,
    grpc_client::{Client, channel, error as failed},
    holdfast::Holdfast,
    http_api::{ACQUIRED, LOCK, UNLOCK, error},
    http_client::{get, lock_body, post, received, request},
    redis_server::RedisServer,
    resources::Resources,
};
use prost_types::Duration as ProtoDuration;
use rustix::process::Signal;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tonic::Code;

use crate::{
    HOLDFAST,
    limits::{connected, until_closed},
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

/// Waits as long as a server that holds no lock keeps connections that were never used, or whose request has begun.
async fn until_an_end_without_locks() {
    let server = http(in_memory()).await;
    let unused = connected(server.address, b"").await;
    let begun = connected(server.address, b"GET /v1.0/metadata HTTP/1.1\r\nHo").await;
    begin_to_end(&server).await;
    for mut stream in [unused, begun] {
        until_closed(&mut stream).await;
    }
}

#[tokio::test]
async fn a_lock_that_is_held_can_be_unlocked_on_a_connection_that_was_never_used() {
    let server = http(in_memory()).await;
    assert_eq!(post(server.address, LOCK, lock_body("r", "o")).await.body, ACQUIRED);
    let mut unused = TcpStream::connect(server.address).await.unwrap();
    let mut begun = TcpStream::connect(server.address).await.unwrap();
    begun.write_all(b"GET /v1.0/metadata HTTP/1.1\r\nHo").await.unwrap();
    begin_to_end(&server).await;
    until_an_end_without_locks().await;
    let metadata = answer(&mut begun, b"st: l\r\n\r\n", "}").await;
    assert!(metadata.contains("connection: close"), "{metadata}");
    let unlocked = answer(&mut unused, &call(UNLOCK), r#"{"status":0}"#).await;
    assert!(unlocked.contains("connection: close"), "{unlocked}");
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
async fn clients_connected_before_the_ports_close_are_answered() {
    let server = http(in_memory()).await;
    // The server has not run since, so none of these connections is accepted yet.
    let callers: Vec<_> = (0..10)
        .map(|_| {
            let mut caller = std::net::TcpStream::connect(server.address).unwrap();
            caller.write_all(b"GET /v1.0/metadata HTTP/1.1\r\nHost: l\r\n\r\n").unwrap();
            caller.set_nonblocking(true).unwrap();
            caller
        })
        .collect();
    server.ending.cancel();
    for caller in callers {
        let answer = received(TcpStream::from_std(caller).unwrap()).await;
        assert_eq!((answer.status, answer.header("connection")), (200, Some("close")));
    }
    tokio::time::timeout(LONG / 2, server.serving).await.expect("an end").unwrap();
}

/// Calls on a connection that is idle while its server ends, once the ports are closed. `None` if the connection ended
/// without an answer.
async fn call_on_an_idle_connection_of_a_server_that_ends() -> Option<String> {
    let server = http(in_memory()).await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    answer(&mut stream, &call(UNLOCK), r#"{"status":1}"#).await;
    server.ending.cancel();
    while TcpStream::connect(server.address).await.is_ok() {
        tokio::task::yield_now().await;
    }
    stream.write_all(&call(UNLOCK)).await.ok()?;
    let mut got = String::new();
    tokio::time::timeout(LONG, stream.read_to_string(&mut got)).await.unwrap().ok()?;
    tokio::time::timeout(LONG / 2, server.serving).await.expect("an end").unwrap();
    (!got.is_empty()).then_some(got)
}

#[tokio::test]
async fn a_request_that_crosses_the_end_of_its_idle_connection_is_answered() {
    // The server waits for it for 200 ms, in which a busy machine may run nothing of this.
    for _ in 0..10 {
        if let Some(answer) = call_on_an_idle_connection_of_a_server_that_ends().await {
            assert!(answer.contains("connection: close"), "{answer}");
            assert!(answer.ends_with(r#"{"status":1}"#), "{answer}");
            return;
        }
    }
    panic!("no request was answered");
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
async fn a_grace_period_beyond_all_bounds_is_one() {
    let server = http_with_grace(in_memory(), Duration::from_secs(u64::MAX)).await;
    server.ending.cancel();
    tokio::time::timeout(LONG, server.serving).await.expect("an end").unwrap();
}

/// The message for a caller who wants a lock while the server ends.
const ENDING: &str = "the server is shutting down: it grants no more locks";

#[tokio::test]
async fn no_lock_is_granted_while_the_server_ends_and_all_else_goes_on() {
    let server = http(in_memory()).await;
    assert_eq!(post(server.address, LOCK, lock_body("r", "o")).await.body, ACQUIRED);
    server.sidecar.ending().cancel();
    begin_to_end(&server).await;
    let lease = r#"{"resourceId":"new","ttl":"60s","lockOwner":"o"}"#;
    for (target, body) in [
        (LOCK, &*lock_body("new", "o")),
        ("/v1.0/leases/lockstore/acquire", lease),
        ("/v1.0/leases/lockstore/hold", lease),
    ] {
        let refused = post(server.address, target, body).await;
        assert_eq!((refused.status, refused.header("retry-after")), (503, Some("1")), "{target}");
        assert_eq!(refused.body, error("ERR_LOCK_SHUTTING_DOWN", ENDING), "{target}");
    }
    let call = async |call: &str| {
        let body = r#"{"resourceId":"r","lockOwner":"o","ttl":"60s"}"#;
        post(server.address, &format!("/v1.0/leases/lockstore/{call}"), body).await
    };
    assert!(call("extend").await.body.starts_with(r#"{"status":0"#));
    let inspect = post(server.address, "/v1.0/leases/lockstore/inspect", r#"{"resourceId":"r"}"#);
    assert!(inspect.await.body.starts_with(r#"{"held":true"#));
    assert_eq!(call("release").await.body, r#"{"status":0}"#);
    tokio::time::timeout(LONG / 2, server.serving).await.expect("an end").unwrap();
}

#[tokio::test]
async fn no_lock_is_granted_over_grpc_while_the_server_ends() {
    let server = grpc(in_memory()).await;
    let mut client = Client::new(server.address).await;
    assert!(client.try_lock("lockstore", "r", "o", 60).await.unwrap());
    server.sidecar.ending().cancel();
    begin_to_end(&server).await;
    let unavailable = (Code::Unavailable, ENDING.to_owned());
    assert_eq!(failed(client.try_lock("lockstore", "new", "o", 60).await), unavailable);
    let mut leases = LeasesClient::new(channel(server.address).await);
    let (store_name, resource_id) = ("lockstore".to_owned(), "new".to_owned());
    let ttl = Some(ProtoDuration { seconds: 60, nanos: 0 });
    let (store, resource) = (store_name.clone(), resource_id.clone());
    let acquire = AcquireRequest { store_name, resource_id, ttl, ..AcquireRequest::default() };
    assert_eq!(failed(leases.acquire(acquire).await), unavailable);
    let (store_name, resource_id) = (store, resource);
    let hold = HoldRequest { store_name, resource_id, ttl, ..HoldRequest::default() };
    assert_eq!(failed(leases.hold(hold).await), unavailable);
    assert_eq!(client.unlock("lockstore", "r", "o").await.unwrap() as i32, 0);
    tokio::time::timeout(LONG / 2, server.serving).await.expect("an end").unwrap();
}

/// Begins the shutdown, which ends all waits.
fn end_waits(server: &Served) {
    server.sidecar.ending().cancel();
    server.sidecar.locks().end_waits();
}

async fn so_many_wait(server: &Served, many: usize) {
    let locks = server.sidecar.locks();
    eventually("they wait", async || {
        let waiting = locks.waiting("lockstore", "").unwrap();
        waiting.iter().map(|(_, calls)| calls).sum::<usize>() == many
    })
    .await;
}

#[tokio::test]
async fn a_wait_that_the_shutdown_ends_says_so() {
    let server = http(in_memory()).await;
    assert_eq!(post(server.address, LOCK, lock_body("r", "o")).await.body, ACQUIRED);
    let address = server.address;
    let waiting = ["acquire", "acquire", "hold", "hold"].map(|call| {
        tokio::spawn(async move {
            let body = r#"{"resourceId":"r","ttl":"60s","wait":"60s"}"#;
            post(address, &format!("/v1.0/leases/lockstore/{call}"), body).await
        })
    });
    so_many_wait(&server, 4).await;
    end_waits(&server);
    for waiting in waiting {
        let answer = waiting.await.unwrap();
        assert_eq!((answer.status, answer.header("retry-after")), (503, Some("1")));
        assert_eq!(answer.body, error("ERR_LOCK_SHUTTING_DOWN", ENDING));
    }
}

#[tokio::test]
async fn over_grpc_a_wait_that_the_shutdown_ends_says_so() {
    let server = grpc(in_memory()).await;
    let channel = channel(server.address).await;
    assert!(Client::new(server.address).await.try_lock("lockstore", "r", "o", 60).await.unwrap());
    let minute = Some(ProtoDuration { seconds: 60, nanos: 0 });
    let mut client = LeasesClient::new(channel);
    let mut other = client.clone();
    let (store, resource) = ("lockstore".to_owned(), "r".to_owned());
    let acquire = AcquireRequest {
        store_name: store.clone(),
        resource_id: resource.clone(),
        ttl: minute,
        wait: minute,
        ..AcquireRequest::default()
    };
    let hold = HoldRequest {
        store_name: store,
        resource_id: resource,
        ttl: minute,
        wait: minute,
        ..HoldRequest::default()
    };
    let acquiring = tokio::spawn(async move { failed(client.acquire(acquire).await) });
    let holding = tokio::spawn(async move { failed(other.hold(hold).await) });
    so_many_wait(&server, 2).await;
    end_waits(&server);
    let unavailable = (Code::Unavailable, ENDING.to_owned());
    assert_eq!(acquiring.await.unwrap(), unavailable);
    assert_eq!(holding.await.unwrap(), unavailable);
}

#[tokio::test]
async fn callers_who_take_and_free_locks_hold_none_after_the_end() {
    let redis = RedisServer::start();
    let resources = Resources::in_redis(&redis, &[]);
    let holdfast = Holdfast::serve(HOLDFAST, &["--resources-path", resources.path()]);
    let address: SocketAddr = holdfast.http().parse().unwrap();
    let callers: Vec<_> = (0..10)
        .map(|number| {
            tokio::spawn(async move {
                let body = lock_body(&format!("r{number}"), "o");
                // Until the server grants no more locks, or has ended.
                while let Some(true) = try_lock(address, &body).await {
                    assert_eq!(post(address, UNLOCK, &body).await.body, r#"{"status":0}"#);
                }
            })
        })
        .collect();
    eventually("locks", async || holdfast.scrape().await.contains("/v1.0-alpha1/unlock")).await;
    let (code, log) = holdfast.end().await;
    assert_eq!(code, 0, "{log}");
    for caller in callers {
        caller.await.unwrap();
    }
    assert_eq!(redis.run::<Vec<String>>(&["KEYS", "lock||*"]), Vec::<String>::new(), "{log}");
}

/// Whether a lock was taken; `None` if the server has ended.
async fn try_lock(address: SocketAddr, body: &str) -> Option<bool> {
    let mut stream = TcpStream::connect(address).await.ok()?;
    stream.write_all(&request("POST", LOCK, "", body.as_bytes())).await.ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.ok()?;
    Some(answer.ends_with(ACQUIRED))
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
    assert_eq!(server.end_by_many(Signal::TERM), Some(1));
}

#[tokio::test]
async fn the_shutdown_begins_after_the_duration_that_blocks_it() {
    let arguments = ["--dapr-block-shutdown-duration", "50ms"];
    let server = Holdfast::serve(HOLDFAST, &arguments);
    let (code, log) = server.end().await;
    assert_eq!(code, 0, "{log}");
    assert!(log.contains("the shutdown begins in 50ms"), "{log}");
}

//! Holds that their callers did not end: the lock stays for as long as the last event said.

use std::{net::SocketAddr, time::Duration};

use holdfast::{Locks, Resource};
use holdfast_proto::leases::{
    HoldRequest,
    hold_event::{Event, lost::Cause},
    leases_client::LeasesClient,
};
use holdfast_sidecar::{Sidecar, server::Limits};
use holdfast_tests::{
    LONG, STORE, eventually,
    grpc_client::channel,
    http_client::{post, request},
};
use prost_types::Duration as ProtoDuration;
use socket2::SockRef;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpSocket, TcpStream},
    runtime::Builder,
    time::timeout,
};

use crate::{
    holds::Hold,
    server::{Served, grpc_with_grace, grpc_within, http, http_on, http_with_grace, in_memory},
};

const R: Resource<'static> = Resource { store: STORE, id: "r" };
const HOLD: &str = "/v1.0/leases/lockstore/hold";
const MINUTE: &str = r#"{"resourceId":"r","ttl":"60s"}"#;
const SHORT: Duration = Duration::from_millis(200);

/// A sidecar with room for one hold: another hold is refused until the first one has ended.
fn of_one_hold() -> Sidecar {
    in_memory().max_holds(1)
}

/// Waits until a hold has ended, and sees that its lock is held.
async fn ended(address: SocketAddr) {
    eventually("the hold has ended", async || {
        // A hold of a lock that was freed would go on.
        let other = timeout(LONG / 2, post(address, HOLD, MINUTE)).await;
        other.expect("the lock was freed").status == 200
    })
    .await;
}

async fn is_held(locks: &Locks) -> bool {
    locks.inspect(R).await.unwrap().is_some()
}

/// Sends bytes, and reads no answer.
async fn deaf(address: SocketAddr, bytes: &[u8]) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(1).unwrap();
    let mut stream = socket.connect(address).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    stream
}

/// The request for a hold whose first event is longer than the smallest buffers of a system.
fn long() -> Vec<u8> {
    let owner = "o".repeat(7 << 10);
    let body = format!(r#"{{"resourceId":"r","ttl":"60s","lockOwner":"{owner}"}}"#);
    request("POST", HOLD, "", body.as_bytes())
}

/// A listener whose connections have small buffers for answers.
async fn listener() -> TcpListener {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    SockRef::from(&listener).set_send_buffer_size(1).unwrap();
    listener
}

fn hold_request() -> HoldRequest {
    HoldRequest {
        store_name: STORE.to_owned(),
        resource_id: "r".to_owned(),
        ttl: Some(ProtoDuration { seconds: 60, nanos: 0 }),
        ..HoldRequest::default()
    }
}

#[tokio::test]
async fn a_caller_over_http2_who_answers_no_ping_keeps_its_lock() {
    let limits = Limits::default().ping_interval(SHORT).ping_timeout(SHORT);
    let server = grpc_within(of_one_hold(), limits).await;
    let address = server.address;
    // The caller stands still once it holds the lock: nothing runs its runtime from then on.
    let holding = tokio::task::spawn_blocking(move || {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let events = runtime.block_on(async {
            let mut client = LeasesClient::new(channel(address).await);
            let mut events = client.hold(hold_request()).await.unwrap().into_inner();
            let first = events.message().await.unwrap().unwrap();
            assert!(matches!(first.event, Some(Event::Held(_))), "{first:?}");
            (client, events)
        });
        (runtime, events)
    });
    let (runtime, _events) = holding.await.unwrap();
    eventually("the hold has ended", async || {
        let mut other = LeasesClient::new(channel(address).await);
        let Ok(mut events) = other.hold(hold_request()).await else { return false };
        let first = events.get_mut().message().await.unwrap().unwrap();
        assert!(matches!(first.event, Some(Event::NotHeld(_))), "it was freed: {first:?}");
        true
    })
    .await;
    runtime.shutdown_background();
}

#[tokio::test]
async fn a_caller_whose_system_stops_answering_keeps_its_lock() {
    let listener = listener().await;
    SockRef::from(&listener).set_tcp_user_timeout(Some(SHORT)).unwrap();
    let server = http_on(listener, of_one_hold(), Limits::default());
    let _deaf = deaf(server.address, &long()).await;
    eventually("it is held", async || is_held(server.sidecar.locks()).await).await;
    ended(server.address).await;
}

#[tokio::test]
async fn a_caller_who_reads_nothing_keeps_its_lock() {
    let server = http_on(listener().await, of_one_hold(), Limits::default().stall(SHORT));
    let _deaf = deaf(server.address, &long()).await;
    eventually("it is held", async || is_held(server.sidecar.locks()).await).await;
    ended(server.address).await;
}

#[tokio::test]
async fn a_caller_who_resets_the_connection_has_left() {
    let server = http(of_one_hold()).await;
    let stream = deaf(server.address, &request("POST", HOLD, "", MINUTE.as_bytes())).await;
    let locks = server.sidecar.locks();
    eventually("it is held", async || is_held(locks).await).await;
    SockRef::from(&stream).set_linger(Some(Duration::ZERO)).unwrap();
    drop(stream);
    eventually("it is free", async || !is_held(locks).await).await;
}

async fn begin_to_end(server: &Served) {
    server.sidecar.ending().cancel();
    server.ending.cancel();
    eventually("it ends", async || server.sidecar.readiness().is_ending()).await;
}

#[tokio::test]
async fn a_hold_that_outlasts_its_server_is_notified_and_keeps_its_lock() {
    let server = http_with_grace(in_memory(), SHORT).await;
    let mut hold = Hold::ask(server.address, MINUTE).await;
    assert!(hold.event().await.unwrap()["held"].is_object());
    begin_to_end(&server).await;
    assert!(hold.event().await.unwrap()["ending"].is_object());
    let lost = hold.event().await.unwrap();
    assert_eq!(lost["lost"]["cause"], "SHUT_DOWN");
    let message = "the server has shut down and no longer renews the lock";
    assert_eq!(lost["lost"]["message"], message);
    let valid_for = lost["lost"]["validFor"].as_str().unwrap();
    assert!(valid_for.starts_with("59.") || valid_for.starts_with("58."), "{valid_for}");
    // The response is complete.
    assert_eq!(hold.event().await, None);

    timeout(LONG, server.serving).await.expect("in time").unwrap();
    server.sidecar.locks().close().await;
    assert!(is_held(server.sidecar.locks()).await);
}

#[tokio::test]
async fn over_grpc_a_hold_that_outlasts_its_server_is_notified_and_keeps_its_lock() {
    let server = grpc_with_grace(in_memory(), SHORT).await;
    let mut client = LeasesClient::new(channel(server.address).await);
    let mut events = client.hold(hold_request()).await.unwrap().into_inner();
    let mut next = async || {
        let message = timeout(LONG, events.message()).await.expect("in time").unwrap();
        message.map(|message| message.event.expect("an event"))
    };
    assert!(matches!(next().await, Some(Event::Held(_))));
    begin_to_end(&server).await;
    assert!(matches!(next().await, Some(Event::Ending(_))));
    let Some(Event::Lost(lost)) = next().await else { panic!("not lost") };
    assert_eq!(lost.cause(), Cause::ShutDown);
    assert!(lost.valid_for.unwrap().seconds >= 50, "{lost:?}");
    // The status is OK.
    assert_eq!(next().await, None);
    timeout(LONG, server.serving).await.expect("in time").unwrap();
    server.sidecar.locks().close().await;
    assert!(is_held(server.sidecar.locks()).await);
}

#[tokio::test]
async fn a_hold_that_is_cut_off_without_a_word_keeps_its_lock() {
    let server = http(in_memory()).await;
    let mut hold = Hold::ask(server.address, MINUTE).await;
    assert!(hold.event().await.unwrap()["held"].is_object());
    // As after a second signal.
    server.serving.abort();
    assert!(server.serving.await.unwrap_err().is_cancelled());
    let mut rest = String::new();
    let _ = timeout(LONG, hold.0.read_to_string(&mut rest)).await.expect("an end");
    server.sidecar.locks().close().await;
    assert!(is_held(server.sidecar.locks()).await);
}

//! Calls over gRPC that last: their connections, their memory, their deadlines and their end.

use std::{net::SocketAddr, time::Duration};

use futures_util::{StreamExt, stream};
use holdfast::Resource;
use holdfast_proto::leases::{HoldRequest, hold_event::Event, leases_client::LeasesClient};
use holdfast_sidecar::{Sidecar, server::Limits};
use holdfast_tests::{
    LONG, STORE, eventually,
    grpc_client::{Client, channel},
    holdfast::Holdfast,
    resources::{Resources, in_memory as store_in_memory},
};
use prost_types::Duration as ProtoDuration;
use serde_json::{Value, json};
use tokio::time::timeout;
use tonic::{Code, Status};
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};
use tonic_reflection::pb::v1::{
    ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
    server_reflection_request::MessageRequest,
};

use crate::{
    HOLDFAST,
    ext_proc::{self, Call, is_freed, is_held, refused, removed},
    limits::{connected, memory, streamed, until_closed},
    server::{Served, grpc, grpc_within, in_memory},
};

const PROCESS: &str = "/envoy.service.ext_proc.v3.ExternalProcessor/Process";

/// How long the callers of these tests wait.
const PATIENCE: Duration = Duration::from_millis(300);

/// A sidecar with an edge lock, which a client that leaves frees.
fn edge(fields: &Value) -> Sidecar {
    let mut lock = json!({ "onClientGone": "free" });
    for (name, value) in fields.as_object().unwrap() {
        lock[name] = value.clone();
    }
    ext_proc::sidecar(&[lock])
}

#[tokio::test]
async fn idle_connections_make_room_before_one_whose_calls_hold_locks_or_wait() {
    let limits = Limits::default().connections(3);
    let server = grpc_within(edge(&json!({ "wait": "60s" })), limits).await;
    let channel = channel(server.address).await;
    let mut holding = Call::on(channel.clone(), &[]).await.unwrap();
    holding.ask("/a");
    // That it may take longer, and then that the request goes on.
    assert_eq!(holding.answer().await.unwrap().unwrap().response, None);
    removed(holding.next().await);
    let mut waiting = Call::on(channel, &[]).await.unwrap();
    waiting.ask("/a");
    assert_eq!(waiting.answer().await.unwrap().unwrap().response, None);

    let mut idle = Vec::new();
    for _ in 0..6 {
        idle.push(connected(server.address, b"").await);
    }
    for closed in &mut idle[..4] {
        until_closed(closed).await;
    }
    assert!(is_held(&server.sidecar, "/a").await);
    drop(holding);
    removed(waiting.next().await);
}

#[tokio::test]
async fn a_call_without_a_message_yet_makes_room() {
    let server = grpc_within(edge(&json!({})), Limits::default().connections(1)).await;
    let (_sender, answered) = streamed(server.address, PROCESS).await;
    let silent = answered.await.unwrap();
    assert_eq!(silent.status(), 200);
    let mut client = Client::new(server.address).await;
    assert!(client.try_lock("lockstore", "r", "o", 60).await.unwrap());
    drop(silent);
}

/// The program with an edge lock for every path.
fn serving() -> (Holdfast, Resources) {
    let spec = json!({ "store": STORE, "resource": "{:path}", "ttl": "60s" });
    let lock = format!(
        "apiVersion: holdfast.lock/v1alpha1\nkind: EdgeLock\nmetadata: {{name: e}}\nspec: {spec}\n"
    );
    let store = store_in_memory(STORE);
    let resources = Resources::new(&[("lockstore.yaml", &store), ("edge.yaml", &lock)]);
    (Holdfast::serve(HOLDFAST, &["--resources-path", resources.path()]), resources)
}

/// In KiB.
const OF_THE_CALLS: u64 = 40_000;

#[tokio::test]
async fn what_a_call_read_from_its_head_or_its_first_message_is_not_kept() {
    let (server, _resources) = serving();
    let address = server.grpc().parse().unwrap();
    let long = "x".repeat(400 << 10);
    assert!(Client::new(address).await.try_lock(STORE, "r", "o", 60).await.unwrap());
    let before = memory(server.id());
    let little = async || memory(server.id()) < before + OF_THE_CALLS / 2;

    let channel = channel(address).await;
    let mut calls = Vec::new();
    for number in 0..100 {
        let mut call = Call::on(channel.clone(), &[("x-long", &long)]).await.unwrap();
        call.ask(&format!("/head/{number}"));
        removed(call.next().await);
        calls.push(call);
    }
    eventually("the heads are forgotten", little).await;
    drop(calls);

    let mut calls = Vec::new();
    for number in 0..100 {
        let mut call = Call::on(channel.clone(), &[]).await.unwrap();
        call.ask_with(&format!("/message/{number}"), &long);
        removed(call.next().await);
        calls.push(call);
    }
    eventually("the messages are forgotten", little).await;
}

fn deadline<T>(message: T) -> tonic::Request<T> {
    let mut request = tonic::Request::new(message);
    request.set_timeout(PATIENCE);
    request
}

fn assert_late<T: std::fmt::Debug>(ended: Result<T, Status>) {
    let ended = ended.unwrap_err();
    let message = "the caller's deadline passed before the call was done";
    assert_eq!((ended.code(), ended.message()), (Code::DeadlineExceeded, message));
}

#[tokio::test]
async fn the_callers_deadline_ends_a_hold_and_frees_its_lock() {
    let server = grpc(in_memory()).await;
    let ttl = Some(ProtoDuration { seconds: 60, nanos: 0 });
    let request = HoldRequest {
        store_name: STORE.to_owned(),
        resource_id: "r".to_owned(),
        ttl,
        ..HoldRequest::default()
    };
    let mut client = LeasesClient::new(channel(server.address).await);
    let mut events = client.hold(deadline(request)).await.unwrap().into_inner();
    let first = events.message().await.unwrap().unwrap();
    assert!(matches!(first.event, Some(Event::Held(_))), "{first:?}");
    assert_late(timeout(LONG, events.message()).await.expect("an end"));
    let locks = server.sidecar.locks();
    let resource = Resource { store: STORE, id: "r" };
    eventually("it is free", async || locks.inspect(resource).await.unwrap().is_none()).await;
}

#[tokio::test]
async fn the_callers_deadline_ends_a_call_of_a_proxy_and_frees_its_lock() {
    let server = grpc(edge(&json!({}))).await;
    let metadata = [("grpc-timeout", "300m")];
    let mut call = Call::on(channel(server.address).await, &metadata).await.unwrap();
    call.ask("/a");
    removed(call.next().await);
    assert_late(call.answer().await);
    is_freed(&server.sidecar, "/a").await;
}

/// Asks which services there are, and keeps the call open.
async fn reflecting(
    address: SocketAddr,
    wrap: impl FnOnce(
        stream::BoxStream<'static, ServerReflectionRequest>,
    ) -> tonic::Request<stream::BoxStream<'static, ServerReflectionRequest>>,
) -> tonic::Streaming<tonic_reflection::pb::v1::ServerReflectionResponse> {
    let message_request = Some(MessageRequest::ListServices(String::new()));
    let request = ServerReflectionRequest { host: String::new(), message_request };
    let requests = stream::iter([request]).chain(stream::pending()).boxed();
    let mut client = ServerReflectionClient::new(channel(address).await);
    let mut answers = client.server_reflection_info(wrap(requests)).await.unwrap().into_inner();
    assert!(answers.message().await.unwrap().is_some());
    answers
}

#[tokio::test]
async fn the_callers_deadline_ends_health_checks_and_reflection() {
    let server = grpc(in_memory()).await;
    let mut health = HealthClient::new(channel(server.address).await);
    let watched = health.watch(deadline(HealthCheckRequest::default())).await;
    let mut watched = watched.unwrap().into_inner();
    assert!(watched.message().await.unwrap().is_some());
    assert_late(timeout(LONG, watched.message()).await.expect("an end"));

    let mut answers = reflecting(server.address, deadline).await;
    assert_late(timeout(LONG, answers.message()).await.expect("an end"));
}

/// Waits for the end of a server in less than its grace period.
async fn ends_soon(server: Served) {
    timeout(LONG / 2, server.serving).await.expect("an end").unwrap();
}

#[tokio::test]
async fn reflection_does_not_delay_the_end_of_the_server() {
    let server = grpc(in_memory()).await;
    let mut answers = reflecting(server.address, tonic::Request::new).await;
    server.ending.cancel();
    let ended = timeout(LONG / 2, answers.message()).await.expect("an end").unwrap_err();
    assert_eq!((ended.code(), ended.message()), (Code::Unavailable, "the server is shutting down"));
    ends_soon(server).await;
}

#[tokio::test]
async fn a_call_that_has_sent_nothing_does_not_delay_the_end_of_the_server() {
    let server = grpc(edge(&json!({}))).await;
    let (_sender, answered) = streamed(server.address, PROCESS).await;
    let silent = answered.await.unwrap();
    server.ending.cancel();
    ends_soon(server).await;
    drop(silent);
}

#[tokio::test]
async fn requests_of_a_proxy_get_no_new_locks_while_the_server_ends() {
    let server = grpc(edge(&json!({ "wait": "60s" }))).await;
    let channel = channel(server.address).await;
    let mut holding = Call::on(channel.clone(), &[]).await.unwrap();
    holding.ask("/a");
    assert_eq!(holding.answer().await.unwrap().unwrap().response, None);
    removed(holding.next().await);
    let mut waiting = Call::on(channel.clone(), &[]).await.unwrap();
    waiting.ask("/a");
    assert_eq!(waiting.answer().await.unwrap().unwrap().response, None);
    server.sidecar.ending().cancel();
    let mut late = Call::on(channel, &[]).await.unwrap();
    late.ask("/b");
    assert_eq!(late.answer().await.unwrap().unwrap().response, None);
    assert_eq!(refused(late.next().await), 503);
    assert!(!is_held(&server.sidecar, "/b").await);

    // A request that waited is refused as well, whichever owner has the lock.
    server.sidecar.locks().end_waits();
    assert_eq!(refused(waiting.next().await), 503);
    assert!(is_held(&server.sidecar, "/a").await);
}

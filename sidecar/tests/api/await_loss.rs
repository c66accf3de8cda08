//! Waiting over HTTP and gRPC until a lock is lost.

use std::{net::SocketAddr, time::Duration};

use holdfast::Resource;
use holdfast_proto::leases::{
    AwaitLossRequest, await_loss_response::Status, leases_client::LeasesClient,
};
use holdfast_sidecar::Sidecar;
use holdfast_tests::{
    LONG, MINUTE, STORE,
    grpc_client::channel,
    http_api::error,
    http_client::{Response, post},
};
use prost_types::Duration as ProtoDuration;
use tokio::time::timeout;
use tonic::Code;

use crate::server::{grpc, http, in_memory};

const R: Resource<'static> = Resource { store: STORE, id: "r" };
const HELD: &str = r#"{"status":0}"#;
const GONE: &str = r#"{"status":1}"#;
const OTHER: &str = r#"{"status":2}"#;

async fn ask(address: SocketAddr, body: &str) -> Response {
    post(address, "/v1.0/leases/lockstore/await-loss", body.to_owned()).await
}

/// Asks for a loss of the lock by `me`, and waits a minute longer than a test does.
async fn wait(address: SocketAddr) -> Response {
    let asked = ask(address, r#"{"resourceId":"r","lockOwner":"me","wait":"120s"}"#);
    timeout(LONG, asked).await.expect("in time")
}

async fn take(sidecar: &Sidecar, owner: &str) {
    assert!(sidecar.locks().try_lock(R, owner, MINUTE).await.unwrap().is_acquired());
}

#[tokio::test]
async fn without_a_wait_the_call_looks_once() {
    let server = http(in_memory()).await;
    let body = r#"{"resourceId":"r","lockOwner":"me"}"#;
    let answer = async || {
        let answer = ask(server.address, body).await;
        assert_eq!(answer.status, 200);
        answer.body
    };
    assert_eq!(answer().await, GONE);
    take(&server.sidecar, "me").await;
    assert_eq!(answer().await, HELD);
    server.sidecar.locks().force_release(R).await.unwrap();
    take(&server.sidecar, "somebody else").await;
    assert_eq!(answer().await, OTHER);
}

#[tokio::test]
async fn a_wait_ends_with_the_loss_and_not_with_a_renewal() {
    let server = http(in_memory()).await;
    take(&server.sidecar, "me").await;
    let waiting = wait(server.address);
    tokio::pin!(waiting);
    let soon = Duration::from_millis(50);
    assert!(timeout(soon, &mut waiting).await.is_err());
    server.sidecar.locks().extend(R, "me", MINUTE, false).await.unwrap();
    assert!(timeout(soon, &mut waiting).await.is_err());
    server.sidecar.locks().force_release(R).await.unwrap();
    assert_eq!(waiting.await.body, GONE);
}

#[tokio::test]
async fn a_lock_that_runs_out_is_lost() {
    let server = http(in_memory()).await;
    let ttl = Duration::from_millis(100);
    assert!(server.sidecar.locks().try_lock(R, "me", ttl).await.unwrap().is_acquired());
    assert_eq!(wait(server.address).await.body, GONE);
}

#[tokio::test]
async fn a_wait_that_is_over_says_that_the_lock_is_held() {
    let server = http(in_memory()).await;
    take(&server.sidecar, "me").await;
    let body = r#"{"resourceId":"r","lockOwner":"me","wait":"0.05s"}"#;
    assert_eq!(ask(server.address, body).await.body, HELD);
}

#[tokio::test]
async fn all_waits_end_when_the_server_begins_to_end() {
    let server = http(in_memory()).await;
    take(&server.sidecar, "me").await;
    let waiting = wait(server.address);
    tokio::pin!(waiting);
    assert!(timeout(Duration::from_millis(50), &mut waiting).await.is_err());
    server.sidecar.ending().cancel();
    assert_eq!(waiting.await.body, HELD);
}

#[tokio::test]
async fn waits_take_the_room_of_holds() {
    let server = http(in_memory().max_holds(1)).await;
    take(&server.sidecar, "me").await;
    let waiting = wait(server.address);
    tokio::pin!(waiting);
    assert!(timeout(Duration::from_millis(50), &mut waiting).await.is_err());
    let refused = ask(server.address, r#"{"resourceId":"r","lockOwner":"me"}"#).await;
    let message = "too many calls: 1 hold locks by their connections";
    assert_eq!((refused.status, refused.body), (503, error("ERR_LOCK_OVERLOADED", message)));
}

#[tokio::test]
async fn wrong_requests_are_refused() {
    let server = http(in_memory()).await;
    let malformed = "ERR_MALFORMED_REQUEST";
    for (store, body, status, code, message) in [
        (
            "lockstore",
            r#"{"resourceId":"r"}"#,
            400,
            malformed,
            "LockOwner is empty in lock store lockstore",
        ),
        ("lockstore", "{}", 400, malformed, "ResourceId is empty in lock store lockstore"),
        (
            "lockstore",
            r#"{"lockOwner":"me"}"#,
            400,
            malformed,
            "ResourceId is empty in lock store lockstore",
        ),
        ("x", r#"{"resourceId":"r"}"#, 400, malformed, "LockOwner is empty in lock store x"),
        (
            "x",
            r#"{"resourceId":"r","lockOwner":"me","wait":"3000000000s"}"#,
            400,
            "ERR_LOCK_STORE_NOT_FOUND",
            "lock store x not found",
        ),
        (
            "lockstore",
            r#"{"resourceId":"a||b","lockOwner":"me","wait":"3000000000s"}"#,
            500,
            "ERR_LEASE_INSPECT",
            "failed to inspect lock: input key/keyPrefix 'a||b' can't contain '||'",
        ),
        (
            "x",
            r#"{"resourceId":"r","lockOwner":"me"}"#,
            400,
            "ERR_LOCK_STORE_NOT_FOUND",
            "lock store x not found",
        ),
        (
            "lockstore",
            r#"{"resourceId":"r","lockOwner":"me","wait":"2147483648s"}"#,
            400,
            malformed,
            "wait is above 2147483647 s in lock store lockstore",
        ),
        (
            "lockstore",
            r#"{"resourceId":"r","lockOwner":"me","ttl":"1s"}"#,
            400,
            malformed,
            "failed deserializing HTTP body: unknown field 'ttl' at line 1 column 40",
        ),
        (
            "lockstore",
            r#"{"resourceId":"a||b","lockOwner":"me"}"#,
            500,
            "ERR_LEASE_INSPECT",
            "failed to inspect lock: input key/keyPrefix 'a||b' can't contain '||'",
        ),
    ] {
        let path = format!("/v1.0/leases/{store}/await-loss");
        let refused = post(server.address, &path, body).await;
        assert_eq!((refused.status, &*refused.body), (status, &*error(code, message)), "{body}");
    }
}

#[tokio::test]
async fn over_grpc_it_is_the_same_call() {
    let server = grpc(in_memory()).await;
    let request = |seconds| AwaitLossRequest {
        store_name: STORE.to_owned(),
        resource_id: "r".to_owned(),
        lock_owner: "me".to_owned(),
        wait: Some(ProtoDuration { seconds, nanos: 0 }),
    };
    let mut client = LeasesClient::new(channel(server.address).await);
    let status = async |client: &mut LeasesClient<_>, seconds| {
        client.await_loss(request(seconds)).await.unwrap().into_inner().status()
    };
    assert_eq!(status(&mut client, 0).await, Status::LockDoesNotExist);
    take(&server.sidecar, "me").await;
    assert_eq!(status(&mut client, 0).await, Status::Held);
    {
        let waiting = timeout(LONG, status(&mut client, 120));
        tokio::pin!(waiting);
        assert!(timeout(Duration::from_millis(50), &mut waiting).await.is_err());
        server.sidecar.locks().force_release(R).await.unwrap();
        assert_eq!(waiting.await.expect("in time"), Status::LockDoesNotExist);
    }
    take(&server.sidecar, "somebody else").await;
    assert_eq!(status(&mut client, 0).await, Status::LockBelongsToOthers);
    for (request, message) in [
        (AwaitLossRequest::default(), "ResourceId is empty in lock store "),
        (
            AwaitLossRequest { store_name: "x".to_owned(), ..request(3_000_000_000) },
            "lock store x not found",
        ),
        (request(3_000_000_000), "wait is above 2147483647 s in lock store lockstore"),
    ] {
        let refused = client.await_loss(request).await.unwrap_err();
        assert_eq!((refused.code(), refused.message()), (Code::InvalidArgument, message));
    }
}

#[tokio::test]
async fn a_refusal_quotes_no_more_than_4_kib_of_the_name_of_a_store() {
    let server = http(in_memory()).await;
    let name = "s".repeat(20_000);
    let message = format!("LockOwner is empty in lock store {}", &name[..4_096]);
    let path = format!("/v1.0/leases/{name}/await-loss");
    let refused = post(server.address, &path, r#"{"resourceId":"r","wait":"3000000000s"}"#).await;
    assert_eq!(refused.body, error("ERR_MALFORMED_REQUEST", &message));
}

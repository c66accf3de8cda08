//! The lock calls over gRPC: answers and errors.

use std::sync::Arc;

use holdfast::{Limits, Locks, store::memory::MemoryStore};
use holdfast_proto::runtime::unlock_response::Status as Unlocked;
use holdfast_sidecar::Sidecar;
use holdfast_tests::{
    fake_store::{Answer, Event, FakeStore, not_done},
    grpc_client::{Client, TRY_LOCK, UNLOCK, error, send},
};
use tonic::Code;

use crate::server::{grpc, in_memory, over, sidecar};

const MAX_MESSAGE: usize = 4 << 20;

#[tokio::test]
async fn a_lock_is_acquired_denied_and_released() {
    let server = grpc(in_memory()).await;
    let mut client = Client::new(server.address).await;
    assert!(client.try_lock("lockstore", "my_file_name", "random_id_abc123", 60).await.unwrap());
    assert!(!client.try_lock("lockstore", "my_file_name", "other", 60).await.unwrap());
    for (owner, status) in [
        ("other", Unlocked::LockBelongsToOthers),
        ("random_id_abc123", Unlocked::Success),
        ("random_id_abc123", Unlocked::LockDoesNotExist),
    ] {
        assert_eq!(client.unlock("lockstore", "my_file_name", owner).await.unwrap(), status);
    }
}

#[tokio::test]
async fn every_error_has_its_status_code_and_message() {
    let server = grpc(in_memory()).await;
    let mut client = Client::new(server.address).await;
    let reserved = "input key/keyPrefix 'a||b' can't contain '||'";
    for (store, resource, owner, expiry, code, message) in [
        ("other", "r", "o", 60, Code::InvalidArgument, "lock store other not found".to_owned()),
        (
            "lockstore",
            "",
            "o",
            60,
            Code::InvalidArgument,
            "ResourceId is empty in lock store lockstore".to_owned(),
        ),
        (
            "lockstore",
            "r",
            "",
            60,
            Code::InvalidArgument,
            "LockOwner is empty in lock store lockstore".to_owned(),
        ),
        (
            "lockstore",
            "r",
            "o",
            0,
            Code::InvalidArgument,
            "ExpiryInSeconds is not positive in lock store lockstore".to_owned(),
        ),
        // The order of the checks: the expiry comes first.
        (
            "other",
            "",
            "",
            -1,
            Code::InvalidArgument,
            "ExpiryInSeconds is not positive in lock store other".to_owned(),
        ),
        (
            "lockstore",
            "a||b",
            "o",
            60,
            Code::Internal,
            format!("failed to try acquiring lock: {reserved}"),
        ),
    ] {
        let refused = client.try_lock(store, resource, owner, expiry).await;
        assert_eq!(
            error(refused),
            (code, message.clone()),
            "{store} {resource:?} {owner:?} {expiry}"
        );
        if expiry > 0 {
            let message = message.replace("try acquiring", "release");
            let refused = client.unlock(store, resource, owner).await;
            assert_eq!(error(refused), (code, message), "{store} {resource:?} {owner:?}");
        }
    }
}

#[tokio::test]
async fn without_a_store_calls_say_so() {
    let locks = Locks::builder().build().unwrap();
    let server = grpc(Sidecar::new(locks, "", Vec::new(), None)).await;
    let mut client = Client::new(server.address).await;
    let expected = (Code::FailedPrecondition, "lock store is not configured".to_owned());
    assert_eq!(error(client.try_lock("s", "r", "o", 1).await), expected);
    assert_eq!(error(client.unlock("s", "r", "o").await), expected);
}

#[tokio::test]
async fn the_failure_of_a_store_is_quoted() {
    let down = FakeStore::always(Answer::Failure(not_done("no \"connection\"")));
    let server = grpc(over(down)).await;
    let mut client = Client::new(server.address).await;
    let taken = error(client.try_lock("lockstore", "r", "o", 1).await);
    let cause = "no \"connection\"";
    assert_eq!(taken, (Code::Internal, format!("failed to try acquiring lock: {cause}")));
    let freed = error(client.unlock("lockstore", "r", "o").await);
    assert_eq!(freed, (Code::Internal, format!("failed to release lock: {cause}")));
}

#[tokio::test]
async fn overload_is_unavailable() {
    let store = FakeStore::always(Answer::Yes.when_allowed());
    let mut limits = Limits::default();
    (limits.in_flight, limits.waiting) = (1, 0);
    let server = grpc(sidecar(store.clone(), limits, None)).await;
    let mut client = Client::new(server.address).await;
    let mut other = Client(client.0.clone());
    let first = tokio::spawn(async move { other.try_lock("lockstore", "a", "o", 1).await });
    assert_eq!(store.event().await, Event::Called);
    let refused = error(client.try_lock("lockstore", "b", "o", 1).await);
    let message = "too many calls: 1 in flight and 0 waiting".to_owned();
    assert_eq!(refused, (Code::Unavailable, message));
    store.let_through(1);
    assert!(first.await.unwrap().unwrap());
}

#[tokio::test]
async fn a_component_that_runs_out_of_memory_fails_only_its_call() {
    let mut limits = Limits::default();
    limits.instance_memory = 2 << 20;
    let server = grpc(sidecar(Arc::new(MemoryStore::new()), limits, None)).await;
    let mut client = Client::new(server.address).await;
    let long = "x".repeat(3 << 20);
    let (code, message) = error(client.try_lock("lockstore", &long, "o", 1).await);
    assert_eq!(code, Code::Internal);
    let start = "failed to try acquiring lock: the lock component failed: ";
    assert!(message.starts_with(start), "{message}");
    assert!(client.try_lock("lockstore", "r", "o", 1).await.unwrap());
}

/// A try-lock with an unknown field, which makes the message `length` bytes long.
fn padded(length: usize) -> Vec<u8> {
    // store_name, resource_id, lock_owner and expiry_in_seconds, then field 15 in its full length.
    let mut message = b"\x0a\x09lockstore\x12\x01r\x1a\x01o\x20\x3c\x7a".to_vec();
    let rest = length - message.len() - 4;
    for shift in [0, 7, 14, 21] {
        let more = if shift < 21 { 0x80 } else { 0 };
        message.push(u8::try_from(rest >> shift & 0x7f).unwrap() | more);
    }
    message.resize(length, 0);
    message
}

#[tokio::test]
async fn a_message_may_have_four_mebibytes_and_no_more() {
    let server = grpc(in_memory()).await;
    let taken = send(server.address, TRY_LOCK, &[], &padded(MAX_MESSAGE)).await;
    assert_eq!(taken.trailer("grpc-status"), Some("0"), "{:?}", taken.headers);
    assert_eq!(&taken.body[..], b"\0\0\0\0\x02\x08\x01");

    let refused = send(server.address, UNLOCK, &[], &padded(MAX_MESSAGE + 1)).await;
    assert_eq!(refused.trailer("grpc-status"), Some("8"));
    let message = refused.trailer("grpc-message").unwrap();
    assert!(message.starts_with("grpc:%20received%20message%20larger%20than%20max"), "{message}");
    assert!(message.contains("4194305"), "{message}");
}

#[tokio::test]
async fn a_field_of_another_type_is_unknown() {
    let server = grpc(in_memory()).await;
    // The owner also as a varint, and the expiry also as text.
    let message = b"\x0a\x09lockstore\x12\x01r\x18\x05\x1a\x01o\x22\x01a\x20\x3c";
    let taken = send(server.address, TRY_LOCK, &[], message).await;
    assert_eq!(taken.trailer("grpc-status"), Some("0"));
    assert_eq!(&taken.body[..], b"\0\0\0\0\x02\x08\x01");
}

#[tokio::test]
async fn long_metadata_is_accepted() {
    let server = grpc(in_memory()).await;
    for length in [16 << 10, 200 << 10] {
        let value = "x".repeat(length);
        let headers = [("baggage", value.as_str())];
        let freed = send(server.address, UNLOCK, &headers, &padded(64)).await;
        assert_eq!(freed.trailer("grpc-status"), Some("0"), "{length}");
    }
}

#[tokio::test]
async fn a_malformed_message_is_refused() {
    let server = grpc(in_memory()).await;
    for message in [&b"\x0a\xff"[..], b"\xff\xff", b"\x20\x0a\x0a\x01\xff"] {
        let refused = send(server.address, TRY_LOCK, &[], message).await;
        assert_eq!(refused.trailer("grpc-status"), Some("13"), "{message:?}");
    }
}

//! The bytes that Dapr's .NET SDK sends and receives: `DaprClient.Lock` and `Unlock`, and
//! `DaprDistributedLockClient.TryLockAsync` and `TryUnlockAsync`. The SDK checks arguments before it sends them, so
//! that an unknown store is the only error.

use std::sync::Arc;

use holdfast::{Limits, store::memory::MemoryStore};
use holdfast_tests::grpc_client::{Response, TRY_LOCK, UNLOCK, send};

use crate::server::{Served, grpc, sidecar};

/// The headers of `Grpc.Net.Client`, and those that the SDK adds: its name, the token, and the caller's trace
/// in both forms.
const HEADERS: [(&str, &str); 5] = [
    (
        "user-agent",
        "dapr-sdk-dotnet/v1.17.0 grpc-dotnet/2.71.0 (.NET 9.0.0; CLR 9.0.0; net9.0; linux; x64)",
    ),
    ("grpc-accept-encoding", "identity,gzip,deflate"),
    ("dapr-api-token", "secret"),
    ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
    ("grpc-trace-bin", "AAAK92UZFs1D3YRI6yEcgDGcAbeta3FpIDMxAgE"),
];

/// `StoreName`, `ResourceId`, `LockOwner` and `ExpiryInSeconds` in the order of their numbers.
fn try_lock(store: &str, resource: &str, owner: &str, expiry: u8) -> Vec<u8> {
    [unlock(store, resource, owner), vec![0x20, expiry]].concat()
}

fn unlock(store: &str, resource: &str, owner: &str) -> Vec<u8> {
    let text = |tag: u8, value: &str| {
        [&[tag, u8::try_from(value.len()).unwrap()][..], value.as_bytes()].concat()
    };
    [text(0x0a, store), text(0x12, resource), text(0x1a, owner)].concat()
}

async fn serve() -> Served {
    let store = Arc::new(MemoryStore::new());
    grpc(sidecar(store, Limits::default(), Some("secret"))).await
}

#[tokio::test]
async fn the_calls_of_the_dotnet_sdk_are_answered() {
    let server = serve().await;
    let (store, file) = ("lockstore", "my_file_name");
    for (path, message, reply) in [
        (TRY_LOCK, try_lock(store, file, "random_id_abc123", 60), &b"\x08\x01"[..]),
        // `false` and `SUCCESS` are the defaults, which are not sent.
        (TRY_LOCK, try_lock(store, file, "other", 60), b""),
        (UNLOCK, unlock(store, file, "other"), b"\x08\x02"),
        (UNLOCK, unlock(store, file, "random_id_abc123"), b""),
        (UNLOCK, unlock(store, file, "random_id_abc123"), b"\x08\x01"),
    ] {
        let Response { headers, body, trailers, .. } =
            send(server.address, path, &HEADERS, &message).await;
        assert_eq!(headers["content-type"], "application/grpc");
        // Not compressed, then the length in four bytes.
        let length = u8::try_from(reply.len()).unwrap();
        assert_eq!(body[..], [&[0, 0, 0, 0, length][..], reply].concat(), "{path} {message:?}");
        assert_eq!(trailers["grpc-status"], "0");
    }
}

#[tokio::test]
async fn an_unknown_store_is_an_error_for_the_dotnet_sdk() {
    let server = serve().await;
    for (path, message) in
        [(TRY_LOCK, try_lock("other", "r", "o", 60)), (UNLOCK, unlock("other", "r", "o"))]
    {
        let refused = send(server.address, path, &HEADERS, &message).await;
        assert_eq!(refused.trailer("grpc-status"), Some("3"));
        let message = refused.trailer("grpc-message").unwrap().replace("%20", " ");
        assert_eq!(message, "lock store other not found");
        assert!(refused.body.is_empty());
    }
}

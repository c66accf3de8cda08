//! What the .NET SDK sends and gets, byte for byte: `DaprClient.Lock` and `Unlock`, and
//! `DaprDistributedLockClient.TryLockAsync` and `TryUnlockAsync`. It checks arguments before it sends
//! them, so there is no error here but that of a store that there is not.

#![allow(clippy::unwrap_used, reason = "helpers of tests may panic as tests do")]

mod support;

use holdfast::{Limits, store::memory::MemoryStore};
use support::{
    grpc::{Raw, TRY_LOCK, UNLOCK, raw, serve},
    sidecar,
};

/// As `Grpc.Net.Client` sends them, with what the SDK adds: its name, the token, and the caller's
/// trace in both forms.
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

#[tokio::test]
async fn the_calls_of_the_dotnet_sdk() {
    let server = serve(sidecar(MemoryStore::new(), Limits::default(), Some("secret"))).await;
    let (store, file) = ("lockstore", "my_file_name");
    for (path, message, reply) in [
        (TRY_LOCK, try_lock(store, file, "random_id_abc123", 60), &b"\x08\x01"[..]),
        // `false` and `SUCCESS` are the defaults, which are not sent.
        (TRY_LOCK, try_lock(store, file, "other", 60), b""),
        (UNLOCK, unlock(store, file, "other"), b"\x08\x02"),
        (UNLOCK, unlock(store, file, "random_id_abc123"), b""),
        (UNLOCK, unlock(store, file, "random_id_abc123"), b"\x08\x01"),
    ] {
        let Raw { headers, body, trailers } = raw(server.address, path, &HEADERS, &message).await;
        assert_eq!(headers["content-type"], "application/grpc");
        // Not compressed, and its length in four bytes.
        let length = u8::try_from(reply.len()).unwrap();
        assert_eq!(body[..], [&[0, 0, 0, 0, length][..], reply].concat(), "{path} {message:?}");
        assert_eq!(trailers["grpc-status"], "0");
    }
}

#[tokio::test]
async fn what_the_dotnet_sdk_turns_into_an_exception() {
    let server = serve(sidecar(MemoryStore::new(), Limits::default(), Some("secret"))).await;
    for (path, message) in
        [(TRY_LOCK, try_lock("other", "r", "o", 60)), (UNLOCK, unlock("other", "r", "o"))]
    {
        let refused = raw(server.address, path, &HEADERS, &message).await;
        assert_eq!(refused.trailer("grpc-status"), Some("3"));
        let message = refused.trailer("grpc-message").unwrap().replace("%20", " ");
        assert_eq!(message, "lock store other not found");
        assert!(refused.body.is_empty());
    }
}

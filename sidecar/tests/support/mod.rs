//! A server to talk to.

#![allow(dead_code, reason = "each test file uses its own part")]

pub mod collector;
pub mod grpc;
pub mod known_calls;

#[allow(unused_imports, reason = "each test file uses its own part")]
pub use holdfast_tests::fake_store::{Down, Event, Events, Gate};
#[allow(unused_imports, reason = "each test file uses its own part")]
pub use holdfast_tests::http_client::{LONG, exchange, get, lock_body, post, received, request};

use std::{net::SocketAddr, sync::Arc, time::Duration};

use holdfast::{
    Limits, Locks,
    store::{Store, memory::MemoryStore},
};
use holdfast_sidecar::{ComponentInfo, Sidecar, http::Api, server::Server};
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_util::sync::CancellationToken;

/// A server in this process. It goes with the test's runtime.
pub struct Served {
    pub address: SocketAddr,
    pub sidecar: Sidecar,
    pub ending: CancellationToken,
    pub serving: JoinHandle<()>,
}

/// Serves a sidecar's HTTP API on a free port.
pub async fn serve(sidecar: Sidecar, grace: Duration) -> Served {
    serve_with(sidecar, grace, |server, sidecar, listener| {
        server.http(Api::new(sidecar), vec![listener.into()])
    })
    .await
}

/// Serves a sidecar on a free port, by the API that `add` adds.
pub async fn serve_with(
    sidecar: Sidecar,
    grace: Duration,
    add: impl FnOnce(Server, Sidecar, TcpListener) -> Server,
) -> Served {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let ending = CancellationToken::new();
    let server = add(Server::new(sidecar.readiness().clone()), sidecar.clone(), listener);
    let ended = ending.clone().cancelled_owned();
    let serving = tokio::spawn(server.serve(ended, grace));
    Served { address, sidecar, ending, serving }
}

/// Serves the application `app1` with one store named `lockstore`.
pub async fn serve_store(store: impl Store, limits: Limits) -> Served {
    serve(sidecar(store, limits, None), LONG).await
}

/// Serves a store in memory named `lockstore`.
pub async fn serve_memory() -> Served {
    serve_store(MemoryStore::new(), Limits::default()).await
}

pub fn sidecar(store: impl Store, limits: Limits, token: Option<&str>) -> Sidecar {
    let builder = Locks::builder().app_id("app1").store("lockstore", Arc::new(store));
    let locks = builder.limits(limits).build().unwrap();
    let component = ComponentInfo {
        name: "lockstore".to_owned(),
        component_type: "lock.in-memory".to_owned(),
        version: "v1".to_owned(),
    };
    Sidecar::new(locks, "app1", vec![component], token)
}

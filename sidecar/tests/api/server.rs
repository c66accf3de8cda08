//! A server of the APIs in the test's own process.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use holdfast::{
    Limits, Locks,
    store::{Store, memory::MemoryStore},
};
use holdfast_sidecar::{
    ComponentInfo, Sidecar, grpc,
    http::Api,
    server::{Limits as ServerLimits, Server},
};
use holdfast_tests::{APP_ID, LONG, STORE};
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_util::sync::CancellationToken;

/// A server, which ends with the test's runtime.
pub struct Served {
    pub address: SocketAddr,
    pub sidecar: Sidecar,
    /// Ends the server.
    pub ending: CancellationToken,
    pub serving: JoinHandle<()>,
}

/// Serves a sidecar's HTTP API.
pub async fn http(sidecar: Sidecar) -> Served {
    http_with_grace(sidecar, LONG).await
}

/// Serves a sidecar's HTTP API, and waits this long for requests in flight at the end.
pub async fn http_with_grace(sidecar: Sidecar, grace: Duration) -> Served {
    serve(sidecar, grace, ServerLimits::default(), |server, sidecar, listener| {
        server.http(Api::new(sidecar), vec![listener.into()])
    })
    .await
}

/// Serves a sidecar's HTTP API within limits.
pub async fn http_within(sidecar: Sidecar, limits: ServerLimits) -> Served {
    serve(sidecar, LONG, limits, |server, sidecar, listener| {
        server.http(Api::new(sidecar), vec![listener.into()])
    })
    .await
}

/// Serves a sidecar's gRPC API.
pub async fn grpc(sidecar: Sidecar) -> Served {
    grpc_within(sidecar, ServerLimits::default()).await
}

/// Serves a sidecar's gRPC API within limits.
pub async fn grpc_within(sidecar: Sidecar, limits: ServerLimits) -> Served {
    serve(sidecar, LONG, limits, |server, sidecar, listener| {
        server.grpc(grpc::Api::new(sidecar).unwrap(), vec![listener.into()])
    })
    .await
}

/// Serves a sidecar's gRPC API, and waits this long for requests in flight at the end.
pub async fn grpc_with_grace(sidecar: Sidecar, grace: Duration) -> Served {
    serve(sidecar, grace, ServerLimits::default(), |server, sidecar, listener| {
        server.grpc(grpc::Api::new(sidecar).unwrap(), vec![listener.into()])
    })
    .await
}

/// Serves a sidecar's HTTP API on a socket that listens, within limits.
pub fn http_on(listener: TcpListener, sidecar: Sidecar, limits: ServerLimits) -> Served {
    serve_on(listener, sidecar, LONG, limits, |server, sidecar, listener| {
        server.http(Api::new(sidecar), vec![listener.into()])
    })
}

async fn serve(
    sidecar: Sidecar,
    grace: Duration,
    limits: ServerLimits,
    add: impl FnOnce(Server, Sidecar, TcpListener) -> Server,
) -> Served {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    serve_on(listener, sidecar, grace, limits, add)
}

fn serve_on(
    listener: TcpListener,
    sidecar: Sidecar,
    grace: Duration,
    limits: ServerLimits,
    add: impl FnOnce(Server, Sidecar, TcpListener) -> Server,
) -> Served {
    let address = listener.local_addr().unwrap();
    let ending = CancellationToken::new();
    let locks = sidecar.locks().clone();
    let server = Server::new(sidecar.readiness().clone()).limits(limits);
    let server = server.last_call(sidecar.last_call().clone());
    let server = server.last_word(sidecar.last_word().clone());
    let server = add(server.lingers_while(move || locks.holds_locks()), sidecar.clone(), listener);
    let ended = ending.clone().cancelled_owned();
    let serving = tokio::spawn(server.serve(ended, grace));
    Served { address, sidecar, ending, serving }
}

/// The application `app1` with a store in memory named `lockstore`.
pub fn in_memory() -> Sidecar {
    over(Arc::new(MemoryStore::new()))
}

/// The application `app1` with a store named `lockstore`.
pub fn over(store: Arc<dyn Store>) -> Sidecar {
    sidecar(store, Limits::default(), None)
}

/// The application `app1` with a store named `lockstore`, limits and a token.
pub fn sidecar(store: Arc<dyn Store>, limits: Limits, token: Option<&str>) -> Sidecar {
    let builder = Locks::builder().app_id(APP_ID).store(STORE, store);
    let locks = builder.limits(limits).build().unwrap();
    let component = ComponentInfo {
        name: STORE.to_owned(),
        component_type: "lock.in-memory".to_owned(),
        version: "v1".to_owned(),
    };
    Sidecar::new(locks, APP_ID, vec![component], token)
}

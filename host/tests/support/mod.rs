//! A server to talk to.

#![allow(dead_code, reason = "each test file uses its own part")]

pub mod collector;
pub mod grpc;
pub mod known_calls;

#[allow(unused_imports, reason = "each test file uses its own part")]
pub use holdfast_tests::http_client::{LONG, exchange, get, lock_body, post, received, request};

use std::{net::SocketAddr, sync::Arc, time::Duration};

use futures_util::future::BoxFuture;
use holdfast::{
    Limits, Locks,
    http::Api,
    server::Server,
    sidecar::{ComponentInfo, Sidecar},
    store::{Acquired, Failure, Grant, Released, Store, memory::MemoryStore},
};
use tokio::{
    net::TcpListener,
    sync::{Semaphore, mpsc},
    task::JoinHandle,
};
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

/// A store that grants everything, one call for each permit, and tells what happens to calls.
pub struct Gate {
    pub permits: Arc<Semaphore>,
    pub events: mpsc::UnboundedSender<Event>,
}

#[derive(Debug, PartialEq, Eq)]
pub enum Event {
    Entered,
    Answered,
    Dropped,
}

/// What happens to calls, in order.
pub struct Events(mpsc::UnboundedReceiver<Event>);

impl Events {
    /// The next event; none comes when the store is gone.
    pub async fn recv(&mut self) -> Option<Event> {
        tokio::time::timeout(LONG, self.0.recv()).await.expect("an event")
    }
}

struct Call {
    events: mpsc::UnboundedSender<Event>,
    answered: bool,
}

impl Drop for Call {
    fn drop(&mut self) {
        let event = if self.answered { Event::Answered } else { Event::Dropped };
        let _ = self.events.send(event);
    }
}

impl Gate {
    pub fn new() -> (Self, Arc<Semaphore>, Events) {
        let permits = Arc::new(Semaphore::new(0));
        let (events, told) = mpsc::unbounded_channel();
        (Self { permits: Arc::clone(&permits), events }, permits, Events(told))
    }

    async fn pass(&self) {
        let mut call = Call { events: self.events.clone(), answered: false };
        self.events.send(Event::Entered).unwrap();
        self.permits.acquire().await.unwrap().forget();
        call.answered = true;
    }
}

impl Store for Gate {
    fn acquire<'a>(
        &'a self,
        _: &'a str,
        _: &'a str,
        _: Duration,
    ) -> BoxFuture<'a, Result<Acquired, Failure>> {
        Box::pin(async {
            self.pass().await;
            Ok(Acquired::Granted(Grant { fencing_token: None }))
        })
    }

    fn release<'a>(&'a self, _: &'a str, _: &'a str) -> BoxFuture<'a, Result<Released, Failure>> {
        Box::pin(async {
            self.pass().await;
            Ok(Released::Released)
        })
    }
}

/// A store that is down.
pub struct Down;

impl Store for Down {
    fn acquire<'a>(
        &'a self,
        _: &'a str,
        _: &'a str,
        _: Duration,
    ) -> BoxFuture<'a, Result<Acquired, Failure>> {
        Box::pin(async { Err(Failure::not_done("no \"connection\"".to_owned())) })
    }

    fn release<'a>(&'a self, _: &'a str, _: &'a str) -> BoxFuture<'a, Result<Released, Failure>> {
        Box::pin(async { Err(Failure::not_done("no \"connection\"".to_owned())) })
    }
}

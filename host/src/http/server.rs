//! Carries requests over sockets: HTTP/1.1, and HTTP/2 in clear text by prior knowledge, on the
//! same port.

use std::{convert::Infallible, future::Future, io, time::Duration};

use hyper::service::service_fn;
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::Api;

/// So long nothing is accepted after the system had no room for another connection.
const NO_ROOM: Duration = Duration::from_millis(100);

/// A server of [`Api`] on listening sockets.
#[derive(Debug)]
pub struct Server {
    api: Api,
    listeners: Vec<TcpListener>,
}

/// What all connections watch.
#[derive(Clone, Default)]
struct Connections {
    running: TaskTracker,
    /// The next response is the last.
    ending: CancellationToken,
    /// There is no time left for responses.
    ended: CancellationToken,
}

impl Server {
    /// A server that will accept connections from all of `listeners`.
    pub fn new(api: Api, listeners: Vec<TcpListener>) -> Self {
        Self { api, listeners }
    }

    /// Serves until `shutdown` completes: says that it is ready, then, at the end, that it is not,
    /// accepts no more, finishes the requests in flight, and cuts off those that take longer than
    /// `grace`. The locks are left open.
    ///
    /// Must be called in a Tokio runtime with time and I/O enabled. To end at once, drop the future.
    pub async fn serve(self, shutdown: impl Future<Output = ()>, grace: Duration) {
        let connections = Connections::default();
        // Dropped with this future, and connections with it.
        let _end = connections.ended.clone().drop_guard();
        let readiness = self.api.readiness().clone();
        readiness.set_ready();

        let accepting = self
            .listeners
            .into_iter()
            .map(|listener| accept_all(listener, self.api.clone(), connections.clone()));
        tokio::select! {
            _never = futures_util::future::join_all(accepting) => {}
            () = shutdown => {}
        }

        readiness.set_ending();
        connections.ending.cancel();
        connections.running.close();
        if tokio::time::timeout(grace, connections.running.wait()).await.is_err() {
            let left = connections.running.len();
            tracing::warn!(connections = left, "cut off what did not finish in time");
        }
    }
}

async fn accept_all(listener: TcpListener, api: Api, connections: Connections) -> Infallible {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                let connection = serve_one(stream, api.clone(), connections.clone());
                connections.running.spawn(connection);
            }
            Err(error) if is_of_one_connection(&error) => {}
            Err(error) => {
                tracing::warn!("cannot accept a connection: {error}");
                tokio::time::sleep(NO_ROOM).await;
            }
        }
    }
}

fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

async fn serve_one(stream: TcpStream, api: Api, connections: Connections) {
    // A response is one small packet, and somebody waits for it.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!("cannot set TCP_NODELAY: {error}");
    }
    let service = service_fn(|request| {
        let api = api.clone();
        async move { Ok::<_, Infallible>(api.answer(request).await) }
    });
    let builder = auto::Builder::new(TokioExecutor::new());
    let connection = builder.serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    let outcome = tokio::select! {
        outcome = connection.as_mut() => outcome,
        () = connections.ended.cancelled() => return,
        () = connections.ending.cancelled() => {
            connection.as_mut().graceful_shutdown();
            tokio::select! {
                outcome = connection.as_mut() => outcome,
                () = connections.ended.cancelled() => return,
            }
        }
    };
    if let Err(error) = outcome {
        tracing::debug!("a connection failed: {error}");
    }
}

//! A server of any number of APIs over sockets, which shuts all of them down together.

mod listener;
mod readiness;

use std::{convert::Infallible, error::Error as StdError, fmt, io, time::Duration};

use bytes::Bytes;
use futures_util::{
    FutureExt,
    future::{BoxFuture, join_all},
};
use hyper::{
    Request, Response,
    body::{Body, Incoming},
    service::service_fn,
};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::{
        conn::auto,
        graceful::{GracefulShutdown, Watcher},
    },
};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use self::listener::Stream;
pub(crate) use self::readiness::State;
pub use self::{listener::Listener, readiness::Readiness};

/// How long to wait after the system had no room for another connection.
const NO_ROOM: Duration = Duration::from_millis(100);

/// An API, as a function from requests to responses.
pub trait Answer: Clone + Send + Sync + 'static {
    /// The body of a response.
    type Body: Body<Data = Bytes, Error: Into<Box<dyn StdError + Send + Sync>>> + Send + 'static;

    /// Answers a request. The future is dropped when the caller leaves.
    fn answer(
        &self,
        request: Request<Incoming>,
    ) -> impl Future<Output = Response<Self::Body>> + Send;
}

/// A server of any number of APIs. Each has listening sockets of its own.
#[must_use = "it does nothing until `serve` is called"]
pub struct Server {
    readiness: Readiness,
    accepting: Vec<Accepting>,
}

type Builder = auto::Builder<TokioExecutor>;
type Accepting = Box<dyn for<'a> FnOnce(&'a Connections) -> BoxFuture<'a, Infallible> + Send>;

/// The open connections, of all APIs.
#[derive(Default)]
struct Connections {
    tasks: TaskTracker,
    /// Tells connections that their next response is the last.
    graceful: GracefulShutdown,
    /// Cuts connections off.
    cut_off: CancellationToken,
}

impl Server {
    /// A server without an API. It sets `readiness` when it begins and stops to serve.
    pub fn new(readiness: Readiness) -> Self {
        Self { readiness, accepting: Vec::new() }
    }

    /// Adds an HTTP API. The same port serves HTTP/1.1, and HTTP/2 in clear text with prior knowledge.
    pub fn http(self, api: impl Answer, listeners: Vec<Listener>) -> Self {
        self.add(api, listeners, auto::Builder::new(TokioExecutor::new()))
    }

    /// Adds a gRPC API. It is served over HTTP/2 in clear text only.
    ///
    /// Clients of gRPC keep connections idle for hours. A ping every 10 seconds, as in Dapr, detects
    /// clients that are gone without closing theirs (Dapr 1.18, `pkg/api/grpc/server.go`).
    pub fn grpc(self, api: impl Answer, listeners: Vec<Listener>) -> Self {
        let mut builder = auto::Builder::new(TokioExecutor::new()).http2_only();
        builder
            .http2()
            .timer(TokioTimer::new())
            .keep_alive_interval(Duration::from_secs(10))
            .keep_alive_timeout(Duration::from_secs(5));
        self.add(api, listeners, builder)
    }

    fn add(mut self, api: impl Answer, listeners: Vec<Listener>, builder: Builder) -> Self {
        for listener in listeners {
            let (api, builder) = (api.clone(), builder.clone());
            self.accepting.push(Box::new(|connections| {
                accept_all(listener, api, builder, connections).boxed()
            }));
        }
        self
    }

    /// Serves until `shutdown` completes, then shuts down: accepts no more connections, finishes the
    /// requests in flight, and cuts off those that take longer than `grace`. The locks stay open.
    ///
    /// The readiness is set to ready at the start, and to ending when the shutdown begins.
    ///
    /// Must be called in a Tokio runtime with time and I/O enabled. Drop the future to end at once.
    pub async fn serve(self, shutdown: impl Future<Output = ()>, grace: Duration) {
        let Self { readiness, accepting } = self;
        let connections = Connections::default();
        // Dropping this future cuts all connections off.
        let _cut_off = connections.cut_off.clone().drop_guard();
        readiness.set_ready();

        let accepting = accepting.into_iter().map(|accept| accept(&connections));
        tokio::select! {
            _never = join_all(accepting) => {}
            () = shutdown => {}
        }

        readiness.set_ending();
        let Connections { tasks, graceful, .. } = connections;
        if tokio::time::timeout(grace, graceful.shutdown()).await.is_err() {
            tracing::warn!(
                connections = tasks.len(),
                "connections were cut off because their requests did not finish in time"
            );
        }
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server")
            .field("readiness", &self.readiness)
            .field("listeners", &self.accepting.len())
            .finish()
    }
}

async fn accept_all(
    listener: Listener,
    api: impl Answer,
    builder: Builder,
    connections: &Connections,
) -> Infallible {
    loop {
        match listener.accept().await {
            Ok(Stream::Tcp(stream)) => connections.serve(stream, &api, &builder),
            Ok(Stream::Unix(stream)) => connections.serve(stream, &api, &builder),
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

impl Connections {
    /// Spawns a task that answers the requests of a connection.
    fn serve(
        &self,
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        api: &impl Answer,
        builder: &Builder,
    ) {
        let (api, builder) = (api.clone(), builder.clone());
        let (watcher, cut_off) = (self.graceful.watcher(), self.cut_off.clone());
        self.tasks.spawn(async move {
            let serving = serve_one(stream, api, builder, watcher);
            if let Some(Err(error)) = cut_off.run_until_cancelled(serving).await {
                tracing::debug!("a connection failed: {error}");
            }
        });
    }
}

async fn serve_one(
    stream: impl AsyncRead + AsyncWrite + Unpin + 'static,
    api: impl Answer,
    builder: Builder,
    watcher: Watcher,
) -> Result<(), Box<dyn StdError + Send + Sync>> {
    let service = service_fn(|request| {
        let api = api.clone();
        async move { Ok::<_, Infallible>(api.answer(request).await) }
    });
    watcher.watch(builder.serve_connection(TokioIo::new(stream), service)).await
}

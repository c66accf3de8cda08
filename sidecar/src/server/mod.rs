//! Carries requests over sockets, for as many services as there are, and ends them together.

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

/// So long nothing is accepted after the system had no room for another connection.
const NO_ROOM: Duration = Duration::from_millis(100);

/// What answers requests: an API, as a function from requests to responses.
pub trait Answer: Clone + Send + Sync + 'static {
    /// The body of a response.
    type Body: Body<Data = Bytes, Error: Into<Box<dyn StdError + Send + Sync>>> + Send + 'static;

    /// Answers a request. The future is dropped when the caller goes away.
    fn answer(
        &self,
        request: Request<Incoming>,
    ) -> impl Future<Output = Response<Self::Body>> + Send;
}

/// A server of any number of APIs, each on listening sockets of its own.
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
    /// Tells connections that the next response is the last.
    graceful: GracefulShutdown,
    /// Cuts connections off.
    cut_off: CancellationToken,
}

impl Server {
    /// A server of nothing yet, which will tell `readiness` when it serves.
    pub fn new(readiness: Readiness) -> Self {
        Self { readiness, accepting: Vec::new() }
    }

    /// Adds an API of plain HTTP: HTTP/1.1, and HTTP/2 in clear text by prior knowledge, on the same
    /// port.
    pub fn http(self, api: impl Answer, listeners: Vec<Listener>) -> Self {
        self.add(api, listeners, auto::Builder::new(TokioExecutor::new()))
    }

    /// Adds an API of gRPC: HTTP/2 in clear text alone.
    ///
    /// Its clients keep connections that say nothing for hours: one whose client is gone without a
    /// word is found by pings, as often as Dapr sends them (Dapr 1.18, `pkg/api/grpc/server.go`).
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

    /// Serves until `shutdown` completes: says that it is ready, then, at the end, that it is not,
    /// accepts no more, finishes the requests in flight, and cuts off those that take longer than
    /// `grace`. The locks are left open.
    ///
    /// Must be called in a Tokio runtime with time and I/O enabled. To end at once, drop the future.
    pub async fn serve(self, shutdown: impl Future<Output = ()>, grace: Duration) {
        let Self { readiness, accepting } = self;
        let connections = Connections::default();
        // Connections end with this future.
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
            tracing::warn!(connections = tasks.len(), "cut off what did not finish in time");
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
    /// Answers the requests of a connection, on a task of its own.
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

//! A server of any number of APIs over sockets, which shuts all of them down together.
//!
//! | module | what lives there |
//! |---|---|
//! | `listener` | sockets |
//! | `connections` | the connections of one API, whose number is limited |
//! | `connection` | one connection, from its first byte to its end |
//! | `wire`, `protocol` | the bytes of a connection, and how HTTP is spoken with them |
//! | `streams`, `turn` | the requests of one HTTP/2 connection, and how its task wakes itself |
//! | `control` | the state of a connection, and the orders to it |
//! | `http_api`, `body`, `response_lifetime` | requests and responses, their bodies, responses that last |
//! | `long_body`, `unread` | long bodies, and the end of responses that their callers do not read |
//! | `parting` | whether the caller or the server has ended a response that lasts |
//! | `heads` | heads of requests over HTTP/2 that have begun to arrive |
//! | `limits` | how long a caller is waited for, and how many connections there are |
//! | `readiness` | the state that the health checks report |

mod body;
mod connection;
mod connections;
mod control;
mod heads;
mod http_api;
mod limits;
mod listener;
mod long_body;
mod parting;
mod protocol;
mod readiness;
mod response_lifetime;
mod streams;
mod turn;
mod unread;
mod wire;

use std::{fmt, future::pending, sync::Arc, time::Duration};

use futures_util::{
    FutureExt,
    future::{BoxFuture, join_all},
};
use tokio::time::Instant;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

pub use self::{
    body::RequestBody, http_api::HttpApi, limits::Limits, listener::Listener, readiness::Readiness,
    response_lifetime::Lasting,
};
use self::{connections::Connections, control::Order, protocol::ApiKind};
pub(crate) use self::{parting::Parting, readiness::State, unread::Unread};

/// How often a server that shuts down looks whether it still has to linger.
const LOOK_INTERVAL: Duration = Duration::from_millis(20);

/// How long callers have to receive their last event before they are cut off.
const LAST_EVENT_TIME: Duration = Duration::from_millis(200);

/// How long to wait for the end of connections that are cut off.
const CUT_OFF_TIME: Duration = Duration::from_millis(800);

/// A server of any number of APIs. Each has listening sockets of its own.
#[must_use = "it does nothing until `serve` is called"]
pub struct Server {
    readiness: Readiness,
    limits: Limits,
    lingers_while: Box<dyn Fn() -> bool + Send + Sync>,
    last_call: CancellationToken,
    last_word: CancellationToken,
    apis: Vec<(ApiKind, &'static str, Vec<Accepting>)>,
}

type Accepting =
    Box<dyn FnOnce(Arc<Connections>, CancellationToken) -> BoxFuture<'static, ()> + Send>;

/// Closes all connections when this is dropped.
struct AllConnections(Vec<Arc<Connections>>);

impl Server {
    /// A server without an API. It sets `readiness` when it starts and when it stops serving.
    pub fn new(readiness: Readiness) -> Self {
        Self {
            readiness,
            limits: Limits::default(),
            lingers_while: Box::new(|| false),
            last_call: CancellationToken::new(),
            last_word: CancellationToken::new(),
            apis: Vec::new(),
        }
    }

    /// Sets the limits.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Makes a shutdown wait for further requests as long as this holds.
    pub fn lingers_while(mut self, holds: impl Fn() -> bool + Send + Sync + 'static) -> Self {
        self.lingers_while = Box::new(holds);
        self
    }

    /// Cancels a token when the grace period is nearly over, so that requests can end gracefully before they are cut
    /// off.
    pub fn last_call(mut self, last_call: CancellationToken) -> Self {
        self.last_call = last_call;
        self
    }

    /// Cancels a token when the grace period is over, so that lasting responses can send a last event.
    pub fn last_word(mut self, last_word: CancellationToken) -> Self {
        self.last_word = last_word;
        self
    }

    /// Adds an HTTP API. The same port serves HTTP/1.1, and HTTP/2 in clear text with prior knowledge.
    pub fn http(self, api: impl HttpApi, listeners: Vec<Listener>) -> Self {
        self.add(ApiKind::Http, "http", api, listeners)
    }

    /// Adds a gRPC API. It is served over HTTP/2 in clear text only.
    pub fn grpc(self, api: impl HttpApi, listeners: Vec<Listener>) -> Self {
        self.add(ApiKind::Grpc, "grpc", api, listeners)
    }

    /// Adds an HTTP API beside those of the locks: health checks, metrics or the operator API. It has fewer
    /// connections, and a shutdown does not wait for their next requests. `port` is its name in the log.
    pub fn auxiliary(
        self,
        port: &'static str,
        api: impl HttpApi,
        listeners: Vec<Listener>,
    ) -> Self {
        self.add(ApiKind::Auxiliary, port, api, listeners)
    }

    fn add(
        mut self,
        kind: ApiKind,
        port: &'static str,
        api: impl HttpApi,
        listeners: Vec<Listener>,
    ) -> Self {
        let accepting = listeners.into_iter().map(|listener| {
            let api = api.clone();
            let accept: Accepting = Box::new(move |connections, closing| {
                connections.accept_all(listener, api, closing).boxed()
            });
            accept
        });
        self.apis.push((kind, port, accepting.collect()));
        self
    }

    /// Serves until `shutdown` completes, then shuts down within `grace`. The locks stay open.
    ///
    /// As long as requests are in flight or [its condition to linger](Self::lingers_while) holds, but not in the last
    /// fifth of the grace period, or the last second if that is less, it still accepts connections and answers
    /// requests, each as the last one of its connection. Callers that have connected by then are answered too, if their
    /// requests come at once. After that the requests in flight are finished, and those that take longer than the grace
    /// period are cut off, after [their last word](Self::last_word).
    ///
    /// The readiness is set to ready at the start, and to ending when the shutdown begins.
    ///
    /// Must be called in a Tokio runtime with time and I/O enabled. Drop the future to end at once.
    pub async fn serve(self, shutdown: impl Future<Output = ()>, grace: Duration) {
        let Self { readiness, limits, lingers_while, last_call, last_word, apis } = self;
        let tasks = TaskTracker::new();
        let closing = CancellationToken::new();
        let mut all = AllConnections(Vec::new());
        let mut accepting = Vec::new();
        for (kind, port, listeners) in apis {
            let connections = Arc::new(Connections::new(kind, port, &limits, tasks.clone()));
            accepting.extend(
                listeners.into_iter().map(|accept| accept(connections.clone(), closing.clone())),
            );
            all.0.push(connections);
        }
        readiness.set_ready();

        let mut accepting = join_all(accepting);
        tokio::select! {
            _never = &mut accepting => {}
            () = shutdown => {}
        }

        let begun = Instant::now();
        readiness.set_ending();
        all.0.iter().for_each(|connections| connections.begin_end());
        tasks.close();
        tokio::select! {
            _never = &mut accepting => {}
            () = ceases(|| all.are_busy() || lingers_while()) => {}
            () = passes(begun, until_last_call(grace)) => {}
        }
        closing.cancel();
        tokio::select! {
            _all = &mut accepting => {}
            () = passes(begun, grace) => {}
        }
        drop(accepting);
        last_call.cancel();

        all.finish(&tasks, begun, grace, &last_word).await;
    }
}

/// Waits until a time has passed, without an end if it is too long for the clock.
async fn passes(begun: Instant, time: Duration) {
    match begun.checked_add(time) {
        Some(end) => tokio::time::sleep_until(end).await,
        None => pending().await,
    }
}

/// Waits until a condition no longer holds.
async fn ceases(holds: impl Fn() -> bool) {
    while holds() {
        tokio::time::sleep(LOOK_INTERVAL).await;
    }
}

/// How long into the grace period new requests are accepted. The rest is for requests in flight.
fn until_last_call(grace: Duration) -> Duration {
    grace.saturating_sub((grace / 5).min(Duration::from_secs(1)))
}

impl AllConnections {
    fn are_busy(&self) -> bool {
        self.0.iter().any(|connections| connections.is_busy())
    }

    fn with_requests(&self) -> usize {
        self.0.iter().map(|connections| connections.with_requests()).sum()
    }

    /// Has the requests in flight finish, and cuts off those that take longer than the grace period.
    async fn finish(
        &self,
        tasks: &TaskTracker,
        begun: Instant,
        grace: Duration,
        last_word: &CancellationToken,
    ) {
        self.order(Order::Finish);
        tokio::select! {
            biased;
            () = tasks.wait() => return,
            () = passes(begun, grace) => {}
        }
        last_word.cancel();
        tokio::select! {
            biased;
            () = tasks.wait() => return,
            () = tokio::time::sleep(LAST_EVENT_TIME) => {}
        }
        // The others wait for a request that may still come.
        let connections = self.with_requests();
        if connections > 0 {
            tracing::warn!(
                connections,
                "connections were cut off because their requests did not finish in time"
            );
        }
        self.order(Order::Close);
        // Their holds end with their tasks.
        let _ = tokio::time::timeout(CUT_OFF_TIME, tasks.wait()).await;
    }

    fn order(&self, order: Order) {
        self.0.iter().for_each(|connections| connections.order(order));
    }
}

impl Drop for AllConnections {
    fn drop(&mut self) {
        self.order(Order::Close);
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server")
            .field("readiness", &self.readiness)
            .field("limits", &self.limits)
            .field("apis", &self.apis.len())
            .finish()
    }
}

//! The connections of one API, whose number is limited.
//!
//! Each API has its own, so that no API takes the room of another.

use std::{
    fmt, io,
    pin::pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use slab::Slab;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::{OwnedSemaphorePermit, Semaphore},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    connection,
    control::{CallerLimits, Control, Order},
    http_api::HttpApi,
    limits::Limits,
    listener::{Listener, Stream},
    protocol::{ApiKind, Pings},
};
use crate::throttle::Throttle;

/// How long to wait after the system had no room for another connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How long to wait for the end of a connection that was ordered to close before closing another one.
const CLOSE_PAUSE: Duration = Duration::from_millis(20);

/// The open connections of an API.
pub(super) struct Connections {
    kind: ApiKind,
    /// The name of the port in the log.
    port: &'static str,
    of_callers: CallerLimits,
    pings: Pings,
    tasks: TaskTracker,
    places: Arc<Semaphore>,
    open: Mutex<Slab<Arc<Control>>>,
    is_ending: Arc<AtomicBool>,
    refused: Throttle,
}

/// A connection's place, until this is dropped.
struct ConnectionSlot {
    connections: Arc<Connections>,
    key: usize,
    _permit: OwnedSemaphorePermit,
}

impl Connections {
    pub(super) fn new(
        kind: ApiKind,
        port: &'static str,
        limits: &Limits,
        tasks: TaskTracker,
    ) -> Self {
        let most = match kind {
            ApiKind::Http | ApiKind::Grpc => limits.connections,
            ApiKind::Auxiliary => limits.auxiliary_connections,
        };
        let most = most.clamp(1, Semaphore::MAX_PERMITS);
        Self {
            kind,
            port,
            of_callers: CallerLimits {
                head: limits.head,
                idle: (kind != ApiKind::Grpc).then_some(limits.idle),
                stall: limits.stall,
            },
            pings: Pings { interval: limits.ping_interval, timeout: limits.ping_timeout },
            tasks,
            places: Arc::new(Semaphore::new(most)),
            open: Mutex::default(),
            is_ending: Arc::default(),
            refused: Throttle::new(1),
        }
    }

    /// Accepts connections until `closing` is cancelled, and serves them in tasks of their own.
    pub(super) async fn accept_all(
        self: Arc<Self>,
        listener: Listener,
        api: impl HttpApi,
        closing: CancellationToken,
    ) {
        let mut closing = pin!(closing.cancelled());
        loop {
            let accepted = tokio::select! {
                biased;
                () = &mut closing => break,
                accepted = listener.accept() => accepted,
            };
            self.take(accepted, &api).await;
        }
        // Their callers have connected, and may have sent their requests.
        match listener.queued() {
            Ok(queued) => {
                for accepted in queued {
                    self.take(accepted, &api).await;
                }
            }
            Err(error) => {
                tracing::debug!("cannot accept the connections that are still queued: {error}")
            }
        }
    }

    async fn take(self: &Arc<Self>, accepted: io::Result<Stream>, api: &impl HttpApi) {
        match accepted {
            Ok(Stream::Tcp(stream)) => self.admit(stream, api).await,
            Ok(Stream::Unix(stream)) => self.admit(stream, api).await,
            Err(error) if is_of_one_connection(&error) => {}
            Err(error) => {
                self.complain(&format_args!("cannot accept a connection: {error}"));
                self.close_longest_waiting();
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }

    /// Serves a connection once there is a place for it.
    async fn admit<S>(self: &Arc<Self>, stream: S, api: &impl HttpApi)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let permit = self.place().await;
        let control = Arc::new(Control::new(self.of_callers, self.is_ending.clone()));
        let key = self.open().insert(control.clone());
        let place = ConnectionSlot { connections: self.clone(), key, _permit: permit };
        let (api, kind, pings) = (api.clone(), self.kind, self.pings);
        self.tasks.spawn(async move {
            connection::serve(stream, api, kind, pings, control).await;
            drop(place);
        });
    }

    /// A place. While there is none, the connections that wait longest for their callers are closed.
    async fn place(&self) -> OwnedSemaphorePermit {
        loop {
            if let Ok(permit) = self.places.clone().try_acquire_owned() {
                return permit;
            }
            self.complain(&format_args!(
                "the connection limit is reached: the connection that was idle longest is closed"
            ));
            self.close_longest_waiting();
            let place = self.places.clone().acquire_owned();
            if let Ok(Ok(permit)) = tokio::time::timeout(CLOSE_PAUSE, place).await {
                return permit;
            }
        }
    }

    fn close_longest_waiting(&self) {
        let open = self.open();
        let waiting =
            open.iter().filter_map(|(_, control)| Some((control.waits_since()?, control)));
        if let Some((_, longest)) = waiting.min_by_key(|(since, _)| *since) {
            longest.order(Order::Close);
        }
    }

    fn complain(&self, problem: &fmt::Arguments<'_>) {
        if let Some(left_out) = self.refused.pass() {
            let (port, open) = (self.port, self.open().len());
            tracing::warn!(port, open, left_out, "{problem}");
        }
    }

    /// Begins the end: from now on each response is the last of its connection.
    pub(super) fn begin_end(&self) {
        self.is_ending.store(true, Ordering::Relaxed);
        if self.kind == ApiKind::Auxiliary {
            self.order(Order::Finish);
        }
    }

    /// Whether callers wait for responses.
    pub(super) fn is_busy(&self) -> bool {
        self.kind != ApiKind::Auxiliary && self.open().iter().any(|(_, control)| control.is_busy())
    }

    /// How many connections have requests that are not finished.
    pub(super) fn with_requests(&self) -> usize {
        self.open().iter().filter(|(_, control)| control.has_requests()).count()
    }

    /// Gives all connections the same order.
    pub(super) fn order(&self, order: Order) {
        for (_, control) in self.open().iter() {
            control.order(order);
        }
    }

    fn open(&self) -> MutexGuard<'_, Slab<Arc<Control>>> {
        // Every change is a single call: a panic elsewhere cannot leave it half done.
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for ConnectionSlot {
    fn drop(&mut self) {
        self.connections.open().remove(self.key);
    }
}

fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

//! The state that the HTTP and gRPC APIs serve: an application's locks, its metadata, the API token, and readiness.
//!
//! Their form on the wire is in `http` and `grpc`.

use std::{fmt, sync::Arc};

use holdfast::{Locks, resources::EdgeLock};
use holdfast_rules::scope::{Choice, Scope};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

use crate::{
    failure::Failures,
    metadata::{ComponentInfo, Metadata},
    requests::{
        intake::{BodyLimits, Intake},
        long_requests::LongRequests,
    },
    server::Readiness,
    throttle::Throttle,
    token::Token,
};

/// The most bytes of a path that the log and messages show.
const LONGEST_PATH: usize = 200;

/// No lock is granted any more.
#[derive(Debug, thiserror::Error)]
#[error("the server is shutting down: it grants no more locks")]
pub(crate) struct Ending;

/// An application's sidecar, which is Dapr's word for the process beside an application. Cheap to
/// clone; clones share one state.
#[derive(Clone)]
pub struct Sidecar(Arc<Inner>);

struct Inner {
    locks: Locks,
    /// The stores of `locks`, for checks that `locks` does not make.
    scope: Scope,
    metadata: Metadata,
    readiness: Readiness,
    token: Option<Token>,
    shutdown: CancellationToken,
    ending: CancellationToken,
    last_call: CancellationToken,
    last_word: CancellationToken,
    foreign: Throttle,
    intake: Intake,
    long_requests: LongRequests,
    failures: Failures,
    holds: HoldSlots,
    edge_locks: Vec<EdgeLock>,
}

/// Counts the locks that responses hold, and the waits for a loss, up to a limit.
struct HoldSlots {
    most: usize,
    room: Arc<Semaphore>,
}

impl HoldSlots {
    /// Half of the connections that a server has by default.
    const DEFAULT_MAX_HOLDS: usize = 5_000;

    fn new(most: usize) -> Self {
        let most = most.min(Semaphore::MAX_PERMITS);
        Self { most, room: Arc::new(Semaphore::new(most)) }
    }
}

impl Sidecar {
    /// A sidecar that serves `locks`. `app_id`, empty for none, and `components` are its metadata.
    ///
    /// With a `token`, every request but a health check must carry it as `dapr-api-token`. An empty
    /// token is none.
    pub fn new(
        locks: Locks,
        app_id: impl Into<String>,
        components: Vec<ComponentInfo>,
        token: Option<&str>,
    ) -> Self {
        Self::with_body_limits(locks, app_id, components, token, BodyLimits::default())
    }

    /// [`new`](Self::new), with limits for the bodies of requests.
    pub fn with_body_limits(
        locks: Locks,
        app_id: impl Into<String>,
        components: Vec<ComponentInfo>,
        token: Option<&str>,
        limits: BodyLimits,
    ) -> Self {
        let intake = Intake::new(limits);
        let token = token.filter(|token| !token.is_empty()).map(Token::new);
        let metadata = Metadata::new(app_id.into(), components);
        let scope = Scope::of_names(locks.store_names().map(str::to_owned));
        Self(Arc::new(Inner {
            locks,
            scope,
            metadata,
            readiness: Readiness::new(),
            token,
            shutdown: CancellationToken::new(),
            ending: CancellationToken::new(),
            last_call: CancellationToken::new(),
            last_word: CancellationToken::new(),
            foreign: Throttle::new(1),
            intake,
            long_requests: LongRequests::new(),
            failures: Failures::new(),
            holds: HoldSlots::new(HoldSlots::DEFAULT_MAX_HOLDS),
            edge_locks: Vec::new(),
        }))
    }

    /// Sets how many calls may hold locks, or wait for them, by responses that last: they keep their connections from
    /// others. 5,000 unless this is called.
    ///
    /// # Panics
    ///
    /// If the sidecar has been cloned.
    #[must_use]
    pub fn max_holds(mut self, most: usize) -> Self {
        self.not_shared().holds = HoldSlots::new(most);
        self
    }

    /// Sets the locks that requests of a proxy take. There are none unless this is called.
    ///
    /// # Panics
    ///
    /// If the sidecar has been cloned.
    #[must_use]
    pub fn edge_locks(mut self, edge_locks: Vec<EdgeLock>) -> Self {
        self.not_shared().edge_locks = edge_locks;
        self
    }

    fn not_shared(&mut self) -> &mut Inner {
        Arc::get_mut(&mut self.0).expect("a sidecar is configured before it is cloned")
    }

    /// The locks that requests of a proxy take.
    pub(crate) fn all_edge_locks(&self) -> &[EdgeLock] {
        &self.0.edge_locks
    }

    /// Room for one more hold, until this is dropped; fails with the limit.
    pub(crate) fn room_for_hold(&self) -> Result<OwnedSemaphorePermit, usize> {
        let HoldSlots { most, room } = &self.0.holds;
        room.clone().try_acquire_owned().map_err(|_| *most)
    }

    /// The state that the health checks report. It starts as not ready.
    pub fn readiness(&self) -> &Readiness {
        &self.0.readiness
    }

    /// Cancelled when a caller asks for a shutdown. The server of the sidecar begins it.
    pub fn shutdown(&self) -> &CancellationToken {
        &self.0.shutdown
    }

    /// Cancel this when the server begins to shut down. Callers that hold locks by a lasting response are notified, and
    /// no lock is granted any more, so that the holders can free theirs.
    pub fn ending(&self) -> &CancellationToken {
        &self.0.ending
    }

    /// Whether locks are still granted.
    pub(crate) fn grants(&self) -> Result<(), Ending> {
        if self.0.ending.is_cancelled() { Err(Ending) } else { Ok(()) }
    }

    /// Cancel this when the server is about to cut off the requests in flight. Requests of proxies then go on without
    /// their calls, and calls of reflection end.
    pub fn last_call(&self) -> &CancellationToken {
        &self.0.last_call
    }

    /// Cancel this when the server cuts off the requests in flight. Callers that hold locks by a lasting response learn
    /// that these are no longer renewed.
    pub fn last_word(&self) -> &CancellationToken {
        &self.0.last_word
    }

    /// Logs, at a limited rate, that a caller asked for another part of Dapr's API.
    pub(crate) fn note_foreign(&self, method: &str, path: &str) {
        let is_daprs = path.starts_with("/v1.0") || path.starts_with("/dapr.proto.runtime.");
        if is_daprs && self.0.foreign.pass().is_some() {
            let path = start_of(path);
            tracing::warn!("{method} {path} is not served: Holdfast serves locks only");
        }
    }

    /// The locks that are served.
    pub fn locks(&self) -> &Locks {
        &self.0.locks
    }

    /// The store that a call names, for checks that the locks do not make.
    pub(crate) fn store<'s>(&'s self, name: &'s str) -> Choice<'s> {
        self.0.scope.named(name)
    }

    pub(crate) fn metadata(&self) -> &Metadata {
        &self.0.metadata
    }

    /// Reads the bodies of requests.
    pub(crate) fn intake(&self) -> &Intake {
        &self.0.intake
    }

    /// Runs calls with long requests.
    pub(crate) fn long_requests(&self) -> &LongRequests {
        &self.0.long_requests
    }

    /// The log of calls that failed.
    pub(crate) fn failures(&self) -> &Failures {
        &self.0.failures
    }

    /// The token that callers must send, if there is one.
    pub(crate) fn token(&self) -> Option<&Token> {
        self.0.token.as_ref()
    }
}

/// The start of a path: the caller chooses it and its length.
pub(crate) fn start_of(path: &str) -> &str {
    &path[..path.floor_char_boundary(LONGEST_PATH)]
}

impl fmt::Debug for Sidecar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sidecar")
            .field("app_id", &self.0.metadata.app_id())
            .field("locks", &self.0.locks)
            .finish_non_exhaustive()
    }
}

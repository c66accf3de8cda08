//! What both of Dapr's APIs serve: an application's locks, its metadata, the API token, and readiness.
//!
//! Their form on the wire is in `http` and `grpc`.

use std::{fmt, sync::Arc, time::Duration};

use holdfast::Locks;
use tokio_util::sync::CancellationToken;

use crate::{
    metadata::{ComponentInfo, Metadata},
    seldom::Seldom,
    server::Readiness,
    token::Token,
};

/// How often calls of other parts of Dapr's API are logged.
const NOTED_EVERY: Duration = Duration::from_secs(60);

/// The longest path that is logged, in characters.
const LONGEST_PATH: usize = 200;

/// An application's sidecar, which is Dapr's word for the process beside an application. Cheap to
/// clone; clones share one state.
#[derive(Clone)]
pub struct Sidecar(Arc<Inner>);

struct Inner {
    locks: Locks,
    metadata: Metadata,
    readiness: Readiness,
    token: Option<Token>,
    shutdown: CancellationToken,
    foreign: Seldom,
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
        let token = token.filter(|token| !token.is_empty()).map(Token::new);
        let metadata = Metadata::new(app_id.into(), components);
        let readiness = Readiness::new();
        let shutdown = CancellationToken::new();
        let foreign = Seldom::new(NOTED_EVERY);
        Self(Arc::new(Inner { locks, metadata, readiness, token, shutdown, foreign }))
    }

    /// What the health checks report. It starts as not ready.
    pub fn readiness(&self) -> &Readiness {
        &self.0.readiness
    }

    /// Cancelled when a caller asks for a shutdown. Whoever serves the sidecar begins it.
    pub fn shutdown(&self) -> &CancellationToken {
        &self.0.shutdown
    }

    /// Logs, at a limited rate, that a caller asked for another part of Dapr's API.
    pub(crate) fn note_foreign(&self, method: &str, path: &str) {
        let is_daprs = path.starts_with("/v1.0") || path.starts_with("/dapr.proto.runtime.");
        if is_daprs && self.0.foreign.now() {
            // The path is the caller's, and as long as he likes.
            let path: String = path.chars().take(LONGEST_PATH).collect();
            tracing::warn!("{method} {path} is not served: Holdfast serves locks only");
        }
    }

    pub(crate) fn locks(&self) -> &Locks {
        &self.0.locks
    }

    pub(crate) fn metadata(&self) -> &Metadata {
        &self.0.metadata
    }

    /// The token that callers must send, if there is one.
    pub(crate) fn token(&self) -> Option<&Token> {
        self.0.token.as_ref()
    }
}

impl fmt::Debug for Sidecar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sidecar")
            .field("app_id", &self.0.metadata.app_id())
            .field("locks", &self.0.locks)
            .finish_non_exhaustive()
    }
}

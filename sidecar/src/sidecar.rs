//! What both of Dapr's APIs speak for: an application's locks, what there is to say about them,
//! who may call, and whether calls are welcome.
//!
//! How any of it looks on the wire is the business of `http` and `grpc`.

use std::{fmt, sync::Arc};

use holdfast::Locks;

use crate::{
    metadata::{ComponentInfo, Metadata},
    server::Readiness,
    token::Token,
};

/// An application's sidecar, as the process that Dapr puts beside an application is called. Cheap to
/// clone; clones share one state.
#[derive(Clone)]
pub struct Sidecar(Arc<Inner>);

struct Inner {
    locks: Locks,
    metadata: Metadata,
    readiness: Readiness,
    token: Option<Token>,
}

impl Sidecar {
    /// A sidecar over `locks`. The application's id, empty for none, and the components are what the
    /// metadata says. With a `token`, requests must show it as `dapr-api-token`, all but health
    /// checks; an empty token is none.
    pub fn new(
        locks: Locks,
        app_id: impl Into<String>,
        components: Vec<ComponentInfo>,
        token: Option<&str>,
    ) -> Self {
        let token = token.filter(|token| !token.is_empty()).map(Token::new);
        let metadata = Metadata::new(app_id.into(), components);
        Self(Arc::new(Inner { locks, metadata, readiness: Readiness::new(), token }))
    }

    /// What the health checks go by. Not ready until somebody says so.
    pub fn readiness(&self) -> &Readiness {
        &self.0.readiness
    }

    pub(crate) fn locks(&self) -> &Locks {
        &self.0.locks
    }

    pub(crate) fn metadata(&self) -> &Metadata {
        &self.0.metadata
    }

    /// What callers must show, if anything.
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

//! The edge locks, and which one a request takes.

use std::sync::Arc;

use ::metrics::Counter;
use holdfast::resources::EdgeLock;
use holdfast_edge_lock::Headers;
use tonic::Status;

use super::{
    crowd::Crowd,
    metrics::{self, EdgeMetrics},
};

/// Every edge lock of a process. Cheap to clone.
#[derive(Clone, Debug)]
pub(in crate::grpc) struct EdgeLocks {
    all: Arc<[Arc<Counted>]>,
    unmatched: Counter,
}

/// An edge lock, its metrics, and the requests that wait for it.
#[derive(Debug)]
pub(super) struct Counted {
    pub(super) lock: EdgeLock,
    pub(super) metrics: EdgeMetrics,
    pub(super) crowd: Crowd,
}

/// The edge locks that the requests of one call may take.
pub(super) struct Choice {
    locks: EdgeLocks,
    /// The only one of them, if the call names it.
    named: Option<Arc<Counted>>,
}

impl EdgeLocks {
    pub(in crate::grpc) fn new(locks: &[EdgeLock]) -> Self {
        let counted = |lock: &EdgeLock| {
            let metrics = EdgeMetrics::new(&lock.name);
            Arc::new(Counted { lock: lock.clone(), metrics, crowd: Crowd::default() })
        };
        Self { all: locks.iter().map(counted).collect(), unmatched: metrics::unmatched() }
    }

    /// The edge lock of this name, or all without a name.
    pub(super) fn choice(&self, name: Option<&[u8]>) -> Result<Choice, Status> {
        if self.all.is_empty() {
            let message =
                "no edge lock is defined: the resources folder has no document of kind EdgeLock";
            return Err(Status::failed_precondition(message));
        }
        let named = name.map(|name| {
            let found = self.all.iter().find(|counted| counted.lock.name.as_bytes() == name);
            let message = || format!("edge lock {} not found", String::from_utf8_lossy(name));
            found.cloned().ok_or_else(|| Status::not_found(message()))
        });
        Ok(Choice { locks: self.clone(), named: named.transpose()? })
    }
}

impl Choice {
    /// The edge lock that a request takes, if there is one for it.
    pub(super) fn of(&self, request: &impl Headers) -> Option<Arc<Counted>> {
        let mut candidates = match &self.named {
            Some(named) => std::slice::from_ref(named).iter(),
            None => self.locks.all.iter(),
        };
        let found = candidates.find(|counted| counted.lock.matches.includes(request)).cloned();
        if found.is_none() {
            self.locks.unmatched.increment(1);
        }
        found
    }
}

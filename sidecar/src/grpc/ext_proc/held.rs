//! A lock that a request holds, until its call ends.

use std::{sync::Arc, time::Duration};

use holdfast::Resource;
use holdfast_edge_lock::OnClientGone;
use tokio::{sync::OwnedSemaphorePermit, time::Instant};

use super::locks::Counted;
use crate::sidecar::Sidecar;

/// A lock that a request holds. It is freed when this is dropped, or kept until it expires if nobody waits for the
/// upstream any more and the edge lock keeps it then.
pub(super) struct Held {
    pub(super) sidecar: Sidecar,
    pub(super) lock: Arc<Counted>,
    pub(super) resource: String,
    pub(super) owner: String,
    /// Until when the lock is held at most.
    pub(super) until: Instant,
    /// Whether the proxy has the upstream's answer, or its own.
    pub(super) answered: bool,
    /// Whether the proxy gave up waiting for the upstream, which may still work.
    pub(super) gave_up: bool,
    pub(super) _room: OwnedSemaphorePermit,
}

impl Held {
    fn release(&self) {
        let resource = Resource { store: &self.lock.lock.store, id: &self.resource };
        let left = self.until.saturating_duration_since(Instant::now());
        if left > Duration::ZERO {
            self.sidecar.locks().release_later(resource, &self.owner, left);
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if self.answered && !self.gave_up {
            return self.release();
        }
        // This server leaves, and not the client: the upstream works on.
        if self.sidecar.last_call().is_cancelled() {
            return;
        }
        match self.lock.lock.on_client_gone {
            OnClientGone::Free => {
                self.lock.metrics.freed.increment(1);
                self.release();
            }
            OnClientGone::Keep => {
                self.lock.metrics.kept.increment(1);
                tracing::debug!(
                    edge_lock = self.lock.lock.name,
                    "a lock is kept until it expires: its request ended without an answer of the upstream"
                );
            }
        }
    }
}

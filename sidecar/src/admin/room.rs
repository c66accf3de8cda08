//! Limits the watches at a time, because each watch reads all locks repeatedly.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The most watches.
const MAX_WATCHES: usize = 16;

/// Room for watches. Clones share it.
#[derive(Clone, Debug)]
pub(super) struct Room(Arc<Semaphore>);

/// There is no room left.
#[derive(Debug, thiserror::Error)]
#[error("too many calls: {MAX_WATCHES} watch the locks")]
pub(super) struct NoRoom;

impl Room {
    pub(super) fn new() -> Self {
        Self(Arc::new(Semaphore::new(MAX_WATCHES)))
    }

    /// Room for one watch, until it is dropped.
    pub(super) fn take(&self) -> Result<OwnedSemaphorePermit, NoRoom> {
        self.0.clone().try_acquire_owned().map_err(|_| NoRoom)
    }
}

//! The handle that transports, plugins and embedders call.

use std::sync::Arc;

use crate::{
    error::{BuildError, Error},
    limits::Limits,
    store::Store,
};

/// What came of an unlock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnlockStatus {
    /// The owner held the lock and it is free now.
    Success,
    /// Nobody holds the lock.
    LockDoesNotExist,
    /// Another owner holds the lock, and still does.
    LockBelongsToOthers,
    /// Kept for the numbering of Dapr's API; failures are errors.
    InternalError,
}

/// Locks over one or more stores: cheap to clone, safe to share.
#[derive(Clone)]
pub struct Locks {}

/// What a caller of the wire form is to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The HTTP status.
    pub status: u16,
    /// The body, of type `application/json`.
    pub body: Vec<u8>,
}

/// Builds a [`Locks`].
#[derive(Default)]
pub struct LocksBuilder {
    app_id: String,
    stores: Vec<(String, String, Arc<dyn Store>)>,
    limits: Limits,
}

impl Locks {
    /// Starts with no store, no application id and the default limits.
    pub fn builder() -> LocksBuilder {
        LocksBuilder::default()
    }

    /// Takes a lock if it is free, without waiting.
    pub async fn try_lock(
        &self,
        store_name: &str,
        resource_id: &str,
        lock_owner: &str,
        expiry_in_seconds: i32,
    ) -> Result<bool, Error> {
        todo!()
    }

    /// Frees a lock if the owner holds it.
    pub async fn unlock(
        &self,
        store_name: &str,
        resource_id: &str,
        lock_owner: &str,
    ) -> Result<UnlockStatus, Error> {
        todo!()
    }

    /// A try-lock in the wire form of Dapr's HTTP API. Only [`Error::Overloaded`] and
    /// [`Error::Guest`] come as errors: everything else is a reply.
    pub async fn try_lock_json(&self, store_name: &str, body: &[u8]) -> Result<Reply, Error> {
        todo!()
    }

    /// An unlock in the wire form, likewise.
    pub async fn unlock_json(&self, store_name: &str, body: &[u8]) -> Result<Reply, Error> {
        todo!()
    }

    /// Waits until the stores have finished what was left to them, and closes them.
    pub async fn close(&self) {
        todo!()
    }
}

impl LocksBuilder {
    /// The id of the application that locks; none by default.
    pub fn app_id(mut self, app_id: impl Into<String>) -> Self {
        self.app_id = app_id.into();
        self
    }

    /// Adds a store under a name, with its `keyPrefix` setting (empty for the default).
    pub fn store(
        mut self,
        name: impl Into<String>,
        key_prefix: impl Into<String>,
        store: Arc<dyn Store>,
    ) -> Self {
        self.stores.push((name.into(), key_prefix.into(), store));
        self
    }

    /// Sets the bounds.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Loads the lock component and warms it up.
    pub fn build(self) -> Result<Locks, BuildError> {
        todo!()
    }
}

//! `holdfast:lock/lock` and `holdfast:lock/lease` for plugins.

use std::time::Duration;

use wasmtime::{
    Result,
    component::{HasData, Linker},
};

use crate::{
    bindings::holdfast::lock::{lease, lock, types},
    locks::{Attempt, Locks, Resource},
    types::{Error, Extended, Holding, Lease, LeaseOptions, UnlockStatus},
};

/// What the host lends a plugin.
#[derive(Debug)]
pub struct LockView<'a> {
    /// The locks that the plugin may use. A handle of its own ([`Locks::scoped`]) keeps a plugin away
    /// from the locks of others.
    pub locks: &'a Locks,
}

/// Adds `holdfast:lock/lock` and `holdfast:lock/lease` to a linker.
///
/// Every outcome is a value for the plugin and none traps. If the host refuses a call for load, or the
/// lock component failed, the plugin gets `error::other`.
///
/// # Errors
///
/// If the linker has one of the interfaces already.
pub fn add_to_linker<T: Send + 'static>(
    linker: &mut Linker<T>,
    view: fn(&mut T) -> LockView<'_>,
) -> Result<()> {
    types::add_to_linker::<T, Lent>(linker, view)?;
    lock::add_to_linker::<T, Lent>(linker, view)?;
    lease::add_to_linker::<T, Lent>(linker, view)
}

struct Lent;

impl HasData for Lent {
    type Data<'a> = LockView<'a>;
}

impl types::Host for LockView<'_> {}

impl lock::Host for LockView<'_> {
    async fn try_lock(
        &mut self,
        store: String,
        id: String,
        owner: String,
        expiry_in_seconds: i32,
    ) -> std::result::Result<bool, Error> {
        // The rules refuse zero.
        let seconds = u64::try_from(expiry_in_seconds).unwrap_or(0);
        let resource = Resource { store: &store, id: &id };
        let attempt = self.locks.try_lock(resource, &owner, Duration::from_secs(seconds)).await?;
        Ok(attempt == Attempt::Acquired)
    }

    async fn unlock(
        &mut self,
        store: String,
        id: String,
        owner: String,
    ) -> std::result::Result<UnlockStatus, Error> {
        Ok(self.locks.unlock(Resource { store: &store, id: &id }, &owner).await?)
    }
}

impl lease::Host for LockView<'_> {
    async fn acquire(
        &mut self,
        store: String,
        id: String,
        options: LeaseOptions,
    ) -> std::result::Result<Option<Lease>, Error> {
        Ok(self.locks.acquire(Resource { store: &store, id: &id }, &options).await?)
    }

    async fn extend(
        &mut self,
        store: String,
        id: String,
        owner: String,
        ttl: u64,
        may_shorten: bool,
    ) -> std::result::Result<Extended, Error> {
        let (resource, ttl) = (Resource { store: &store, id: &id }, Duration::from_millis(ttl));
        Ok(self.locks.extend(resource, &owner, ttl, may_shorten).await?)
    }

    async fn inspect(
        &mut self,
        store: String,
        id: String,
    ) -> std::result::Result<Option<Holding>, Error> {
        Ok(self.locks.inspect(Resource { store: &store, id: &id }).await?)
    }
}

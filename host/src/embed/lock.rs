//! `holdfast:lock/lock` for plugins.

use wasmtime::{
    Result,
    component::{HasData, Linker},
};

use crate::{
    bindings::plugin::holdfast::lock::lock::{self, Error, UnlockStatus},
    locks::Locks,
};

/// What a plugin's host lends it.
#[derive(Debug)]
pub struct LockView<'a> {
    /// The locks that the plugin may use. A handle of its own
    /// ([`Locks::scoped`]) keeps it away from the locks of others.
    pub locks: &'a Locks,
}

/// Adds `holdfast:lock/lock` to a linker.
///
/// Every outcome is a value for the plugin, and none is a trap: where the host refuses for load or the
/// lock component failed, `error::other`.
///
/// # Errors
///
/// Where the linker has the interface already.
pub fn add_to_linker<T: Send + 'static>(
    linker: &mut Linker<T>,
    view: fn(&mut T) -> LockView<'_>,
) -> Result<()> {
    lock::add_to_linker::<T, Lock>(linker, view)
}

struct Lock;

impl HasData for Lock {
    type Data<'a> = LockView<'a>;
}

impl lock::Host for LockView<'_> {
    async fn try_lock(
        &mut self,
        store_name: String,
        resource_id: String,
        lock_owner: String,
        expiry_in_seconds: i32,
    ) -> std::result::Result<bool, Error> {
        let taken =
            self.locks.try_lock(&store_name, &resource_id, &lock_owner, expiry_in_seconds).await;
        Ok(taken?)
    }

    async fn unlock(
        &mut self,
        store_name: String,
        resource_id: String,
        lock_owner: String,
    ) -> std::result::Result<UnlockStatus, Error> {
        let status = self.locks.unlock(&store_name, &resource_id, &lock_owner).await?;
        Ok(status.into())
    }
}

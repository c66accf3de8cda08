//! `holdfast:lock/admin`, for components of operators.

use wasmtime::{Result, component::Linker};

use super::lock::{Lent, LockView};
use crate::{
    bindings::holdfast::lock::admin,
    locks::Resource,
    types::{Error, LockPage},
};

/// Adds `holdfast:lock/admin` to a linker that has the interfaces of [`lock`](super::lock). The component may then see
/// the locks of all owners in the stores of its handle, and end any hold. Plugins should not have it.
///
/// # Errors
///
/// If the linker has the interface already.
pub fn add_to_linker<T: Send + 'static>(
    linker: &mut Linker<T>,
    view: fn(&mut T) -> LockView<'_>,
) -> Result<()> {
    admin::add_to_linker::<T, Lent>(linker, view)
}

impl admin::Host for LockView<'_> {
    async fn list_locks(
        &mut self,
        store: String,
        prefix: String,
        cursor: Option<String>,
        limit: u32,
    ) -> std::result::Result<LockPage, Error> {
        Ok(self.ctx.locks.list(&store, &prefix, cursor.as_deref(), limit).await?)
    }

    async fn force_release(
        &mut self,
        store: String,
        id: String,
    ) -> std::result::Result<Option<String>, Error> {
        Ok(self.ctx.locks.force_release(Resource { store: &store, id: &id }).await?)
    }
}

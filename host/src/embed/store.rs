//! `holdfast:lock/store` for components that contain the lock component.

use wasmtime::{
    Result,
    component::{HasData, Linker},
};

use crate::{
    bindings::holdfast::lock::{store, types},
    locks::Locks,
    types::{
        AcquireCommand, Acquired, ExtendCommand, Extended, Failure, Holding, InspectCommand,
        ReleaseCommand, Released, StoreInfo,
    },
};

/// What the host lends a component that contains the lock component.
#[derive(Debug)]
pub struct StoreView<'a> {
    /// The handle whose stores and limits apply, and whose application id the component gets. The component makes the
    /// keys itself, so it must be trusted with all data in these stores.
    pub locks: &'a Locks,
}

/// Adds `holdfast:lock/store` to a linker.
///
/// Every outcome is a value for the component and none traps.
///
/// # Errors
///
/// If the linker has the interface already.
pub fn add_to_linker<T: Send + 'static>(
    linker: &mut Linker<T>,
    view: fn(&mut T) -> StoreView<'_>,
) -> Result<()> {
    types::add_to_linker::<T, Lent>(linker, view)?;
    store::add_to_linker::<T, Lent>(linker, view)
}

struct Lent;

impl HasData for Lent {
    type Data<'a> = StoreView<'a>;
}

impl types::Host for StoreView<'_> {}

impl store::Host for StoreView<'_> {
    async fn stores(&mut self) -> Vec<StoreInfo> {
        self.locks.stores().to_vec()
    }

    async fn acquire(&mut self, command: AcquireCommand) -> std::result::Result<Acquired, Failure> {
        self.locks.store_acquire(command).await
    }

    async fn release(&mut self, command: ReleaseCommand) -> std::result::Result<Released, Failure> {
        self.locks.store_release(&command).await
    }

    async fn fresh_owner(&mut self) -> String {
        self.locks.fresh_owner()
    }

    async fn extend(&mut self, command: ExtendCommand) -> std::result::Result<Extended, Failure> {
        self.locks.store_extend(command).await
    }

    async fn inspect(
        &mut self,
        command: InspectCommand,
    ) -> std::result::Result<Option<Holding>, Failure> {
        self.locks.store_inspect(command).await
    }
}

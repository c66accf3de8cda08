//! `holdfast:lock/store` for components that carry the lock component inside.

use wasmtime::{
    Result,
    component::{HasData, Linker},
};

use crate::{
    bindings::provider::holdfast::lock::store::{
        self, AcquireCommand, Acquired, Failure, ReleaseCommand, Released, StoreInfo,
    },
    locks::Locks,
};

/// What the host of such a component lends it.
#[derive(Debug)]
pub struct StoreView<'a> {
    /// Whose stores these are. Their limits apply, and their application's id is the one that the
    /// component is told; but the component makes the keys itself, so trust it as far as the stores.
    pub locks: &'a Locks,
}

/// Adds `holdfast:lock/store` to a linker.
///
/// Every outcome is a value for the component, and none is a trap.
///
/// # Errors
///
/// Where the linker has the interface already.
pub fn add_to_linker<T: Send + 'static>(
    linker: &mut Linker<T>,
    view: fn(&mut T) -> StoreView<'_>,
) -> Result<()> {
    store::add_to_linker::<T, Lent>(linker, view)
}

struct Lent;

impl HasData for Lent {
    type Data<'a> = StoreView<'a>;
}

impl store::Host for StoreView<'_> {
    async fn stores(&mut self) -> Vec<StoreInfo> {
        self.locks.infos().to_vec()
    }

    async fn acquire(&mut self, command: AcquireCommand) -> std::result::Result<Acquired, Failure> {
        self.locks.acquire_for(&command).await
    }

    async fn release(&mut self, command: ReleaseCommand) -> std::result::Result<Released, Failure> {
        self.locks.release_for(&command).await
    }
}

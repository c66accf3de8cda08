//! One instance of the lock component.

use wasmtime::{ResourceLimiter, Result, Store};

use crate::{
    bindings::{
        guest::{Guest, GuestPre, exports::holdfast::lock::steps},
        provider::holdfast::lock::store::StoreInfo,
    },
    error::BuildError,
    limits::Limits,
};

/// The number of an application's stores, the same in every instance of a pool.
pub(crate) type Scope = u32;

/// An instance and its memory.
pub(crate) struct Instance {
    store: Store<State>,
    guest: Guest,
    /// How many scopes it knows.
    scopes: usize,
    step_ticks: u64,
}

/// What an instance has of its host.
pub(crate) struct State {
    memory_limit: usize,
    memory: usize,
}

impl Instance {
    pub fn new(guest: &GuestPre<State>, limits: &Limits) -> Result<Self> {
        let state = State { memory_limit: limits.instance_memory, memory: 0 };
        let mut store = Store::new(guest.engine(), state);
        store.limiter(|state| state);
        store.set_epoch_deadline(limits.step_ticks());
        let guest = guest.instantiate(&mut store)?;
        Ok(Self { store, guest, scopes: 0, step_ticks: limits.step_ticks() })
    }

    /// The linear memory that the instance has grown to, in bytes. It never shrinks.
    pub fn memory(&self) -> usize {
        self.store.data().memory
    }

    /// How many scopes the instance knows.
    pub fn scopes(&self) -> usize {
        self.scopes
    }

    /// Makes the next scope known.
    pub fn configure(&mut self, stores: &[StoreInfo]) -> Result<Result<(), BuildError>> {
        let (steps, store) = self.steps();
        let configured = steps.call_configure(store, stores)?;
        self.scopes += usize::from(configured.is_ok());
        Ok(configured.map(drop).map_err(BuildError::Store))
    }

    /// The steps, with a new deadline.
    pub fn steps(&mut self) -> (&steps::Guest, &mut Store<State>) {
        self.store.set_epoch_deadline(self.step_ticks);
        (self.guest.holdfast_lock_steps(), &mut self.store)
    }
}

impl ResourceLimiter for State {
    fn memory_growing(&mut self, _: usize, desired: usize, _: Option<usize>) -> Result<bool> {
        let allowed = desired <= self.memory_limit;
        if allowed {
            self.memory = desired;
        }
        Ok(allowed)
    }

    fn table_growing(&mut self, _: usize, desired: usize, _: Option<usize>) -> Result<bool> {
        Ok(desired <= 10_000)
    }
}

//! The pool of instances: some warm, more when many threads call at once, none that trapped.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError, RwLock};

use wasmtime::Result;

use super::{
    engine,
    instance::{Instance, Scope, State},
};
use crate::{
    bindings::{guest::GuestPre, provider::holdfast::lock::store::StoreInfo},
    error::{BuildError, Error},
    limits::Limits,
};

/// Instances of the lock component, and the scopes that each of them is to know.
pub(crate) struct Pool {
    guest: GuestPre<State>,
    limits: Limits,
    scopes: RwLock<Vec<Vec<StoreInfo>>>,
    instances: Mutex<Instances>,
    returned: Condvar,
}

#[derive(Default)]
struct Instances {
    warm: Vec<Instance>,
    /// How many there are, at work or warm.
    alive: usize,
}

impl Pool {
    /// Loads the component and makes the warm instances.
    pub fn new(limits: &Limits) -> Result<Self, BuildError> {
        limits.check()?;
        let guest = engine::load(limits).map_err(BuildError::Component)?;
        let warm = (0..limits.warm_instances)
            .map(|_| Instance::new(&guest, limits))
            .collect::<Result<Vec<_>>>()
            .map_err(BuildError::Component)?;
        Ok(Self {
            instances: Mutex::new(Instances { alive: warm.len(), warm }),
            guest,
            limits: limits.clone(),
            scopes: RwLock::default(),
            returned: Condvar::new(),
        })
    }

    /// Makes the stores of an application known, for good.
    pub fn add_scope(&self, stores: &[StoreInfo]) -> Result<Scope, BuildError> {
        // Held throughout, so that the number is the same in every instance.
        let mut scopes = self.scopes.write().unwrap_or_else(PoisonError::into_inner);
        let number = u32::try_from(scopes.len())
            .map_err(|_| BuildError::Store("too many scopes".to_owned()))?;
        let mut instance = self.take().map_err(BuildError::Component)?;
        let configured = configure_all(&mut instance, &scopes)
            .and_then(|()| instance.configure(stores))
            .map_err(BuildError::Component);
        match configured {
            Ok(result) => {
                self.put_back(instance);
                result?;
                scopes.push(stores.to_vec());
                Ok(number)
            }
            Err(trap) => {
                self.discard(instance);
                Err(trap)
            }
        }
    }

    /// Runs one step of a call. An instance that traps is thrown away.
    pub fn run<T>(&self, step: impl FnOnce(&mut Instance) -> Result<T>) -> Result<T, Error> {
        let mut instance = self.take().map_err(failed)?;
        let done = self.configure(&mut instance).and_then(|()| step(&mut instance));
        match done {
            Ok(done) => {
                self.put_back(instance);
                Ok(done)
            }
            Err(trap) => {
                self.discard(instance);
                Err(failed(trap))
            }
        }
    }

    fn configure(&self, instance: &mut Instance) -> Result<()> {
        let scopes = self.scopes.read().unwrap_or_else(PoisonError::into_inner);
        configure_all(instance, &scopes)
    }

    /// A warm instance, or a new one, or the first that is given back. Whoever has one gives it back
    /// within the step deadline.
    fn take(&self) -> Result<Instance> {
        let mut instances = self.lock();
        loop {
            if let Some(instance) = instances.warm.pop() {
                return Ok(instance);
            }
            if instances.alive < self.limits.instances {
                instances.alive += 1;
                break;
            }
            instances = self.returned.wait(instances).unwrap_or_else(PoisonError::into_inner);
        }
        drop(instances);
        Instance::new(&self.guest, &self.limits).inspect_err(|_| self.forget())
    }

    fn put_back(&self, instance: Instance) {
        let grown = instance.memory() > self.limits.instance_memory_kept;
        let mut instances = self.lock();
        if grown || instances.warm.len() >= self.limits.warm_instances {
            drop(instances);
            return self.discard(instance);
        }
        instances.warm.push(instance);
        drop(instances);
        self.returned.notify_one();
    }

    fn discard(&self, instance: Instance) {
        // Its memory first: the place it had is another's as soon as it is forgotten.
        drop(instance);
        self.forget();
    }

    fn forget(&self) {
        self.lock().alive -= 1;
        self.returned.notify_one();
    }

    fn lock(&self) -> MutexGuard<'_, Instances> {
        self.instances.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Tells an instance the scopes that it does not know yet.
fn configure_all(instance: &mut Instance, scopes: &[Vec<StoreInfo>]) -> Result<()> {
    for stores in scopes.iter().skip(instance.scopes()) {
        // The same stores were accepted by another instance.
        instance.configure(stores)?.map_err(wasmtime::Error::new)?;
    }
    Ok(())
}

fn failed(trap: wasmtime::Error) -> Error {
    tracing::error!("the lock component failed, its instance is replaced: {trap:#}");
    Error::Guest(trap.root_cause().to_string())
}

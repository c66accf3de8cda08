//! The pool of instances: some warm, more when many threads call at once, none that trapped.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError, RwLock};

use wasmtime::Result;

use super::{
    engine,
    instance::{Instance, Scope, State},
    metrics::{Discarded, InstanceMetrics},
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
    metrics: InstanceMetrics,
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
        let metrics = InstanceMetrics::new();
        let warm = (0..limits.warm_instances)
            .map(|_| Instance::new(&guest, limits).inspect(|_| metrics.created()))
            .collect::<Result<Vec<_>>>()
            .map_err(BuildError::Component)?;
        Ok(Self {
            instances: Mutex::new(Instances { alive: warm.len(), warm }),
            guest,
            limits: limits.clone(),
            scopes: RwLock::default(),
            returned: Condvar::new(),
            metrics,
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
                self.discard(instance, Discarded::Trapped);
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
                self.discard(instance, Discarded::Trapped);
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
        Instance::new(&self.guest, &self.limits)
            .inspect(|_| self.metrics.created())
            .inspect_err(|_| self.forget())
    }

    fn put_back(&self, instance: Instance) {
        let grown = instance.memory() > self.limits.instance_memory_kept;
        if grown {
            return self.discard(instance, Discarded::Grown);
        }
        let mut instances = self.lock();
        if instances.warm.len() >= self.limits.warm_instances {
            drop(instances);
            return self.discard(instance, Discarded::Surplus);
        }
        instances.warm.push(instance);
        drop(instances);
        self.returned.notify_one();
    }

    /// Records how many instances are idle and busy.
    pub fn record_gauges(&self) {
        let instances = self.lock();
        let (idle, alive) = (instances.warm.len(), instances.alive);
        drop(instances);
        self.metrics.set_counts(idle, alive - idle);
    }

    fn discard(&self, instance: Instance, why: Discarded) {
        self.metrics.discarded(why);
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

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    fn pool(limits: impl FnOnce(&mut Limits)) -> Pool {
        let mut all = Limits { warm_instances: 1, ..Limits::default() };
        limits(&mut all);
        let pool = Pool::new(&all).unwrap();
        let info = |name: &str| StoreInfo {
            name: name.to_owned(),
            key_prefix: String::new(),
            app_id: "app".to_owned(),
        };
        pool.add_scope(&[info("a")]).unwrap();
        pool.add_scope(&[info("b")]).unwrap();
        pool
    }

    /// The key that the component makes, or its refusal.
    fn key(
        pool: &Pool,
        scope: Scope,
        store_name: &str,
        resource_id: &str,
    ) -> Result<String, Error> {
        let begun = pool.run(|instance| {
            let (steps, store) = instance.steps();
            steps.call_begin_try_lock(store, scope, store_name, resource_id, "owner", 1)
        })?;
        Ok(begun.map(|command| command.key).unwrap_or_else(|error| format!("{error:?}")))
    }

    fn counts(pool: &Pool) -> (usize, usize) {
        let instances = pool.lock();
        (instances.warm.len(), instances.alive)
    }

    #[test]
    fn an_instance_that_ran_over_its_deadline_is_replaced() {
        let pool = pool(|_| {});
        let overrun = pool.run(|instance| {
            let (steps, store) = instance.steps();
            store.set_epoch_deadline(0);
            steps.call_begin_try_lock(store, 0, "a", "r", "o", 1)
        });
        assert_eq!(overrun.unwrap_err(), Error::Guest("wasm trap: interrupt".to_owned()));
        assert_eq!(counts(&pool), (0, 0));
        // A new one knows both scopes.
        assert_eq!(key(&pool, 1, "b", "r").as_deref(), Ok("lock||app||r"));
        assert_eq!(key(&pool, 0, "a", "r").as_deref(), Ok("lock||app||r"));
        assert_eq!(counts(&pool), (1, 1));
    }

    #[test]
    fn the_clock_ends_what_does_not_end_by_itself() {
        let pool = pool(|_| {});
        let bound = Instant::now() + Duration::from_secs(20);
        let ended = pool.run(|instance| {
            let (steps, store) = instance.steps();
            store.set_epoch_deadline(1);
            while Instant::now() < bound {
                steps.call_begin_unlock(&mut *store, 0, "a", "r", "o")?.map(drop).unwrap_or(());
            }
            Ok(())
        });
        assert_eq!(ended, Err(Error::Guest("wasm trap: interrupt".to_owned())));
    }

    #[test]
    fn an_instance_that_wants_too_much_memory_fails_alone() {
        let pool = pool(|limits| limits.instance_memory = 2 << 20);
        let long = "x".repeat(3 << 20);
        let failed = key(&pool, 0, "a", &long).unwrap_err();
        assert!(matches!(failed, Error::Guest(_)), "{failed:?}");
        assert_eq!(key(&pool, 0, "a", "r").as_deref(), Ok("lock||app||r"));
    }

    #[test]
    fn an_instance_that_has_grown_is_replaced() {
        let pool = pool(|_| {});
        assert_eq!(key(&pool, 0, "a", "r").as_deref(), Ok("lock||app||r"));
        assert_eq!(counts(&pool), (1, 1));
        let long = "x".repeat(1 << 20);
        assert_eq!(key(&pool, 0, "a", &long).map(|key| key.len()), Ok((1 << 20) + 11));
        assert_eq!(counts(&pool), (0, 0));
        assert_eq!(key(&pool, 0, "a", "r").as_deref(), Ok("lock||app||r"));
    }

    #[test]
    fn threads_wait_for_an_instance_and_no_longer() {
        let pool = pool(|limits| limits.instances = 2);
        std::thread::scope(|threads| {
            for thread in 0..8 {
                let pool = &pool;
                threads.spawn(move || {
                    for call in 0..200 {
                        let resource = format!("{thread}-{call}");
                        let made =
                            key(pool, thread % 2, ["a", "b"][thread as usize % 2], &resource);
                        assert_eq!(made, Ok(format!("lock||app||{resource}")));
                    }
                });
            }
        });
        let (warm, alive) = counts(&pool);
        assert!(warm == 1 && alive <= 2, "{warm} warm of {alive}");
    }

    #[test]
    fn a_prefix_that_cannot_be_is_refused_and_gets_no_number() {
        let pool = pool(|_| {});
        let bad = StoreInfo {
            name: "c".to_owned(),
            key_prefix: "a||b".to_owned(),
            app_id: String::new(),
        };
        let refused = pool.add_scope(std::slice::from_ref(&bad)).unwrap_err();
        assert_eq!(
            refused.to_string(),
            "lock store c: keyPrefix: input key/keyPrefix 'a||b' can't contain '||'"
        );
        let good = StoreInfo { key_prefix: "none".to_owned(), ..bad };
        assert_eq!(pool.add_scope(&[good]).unwrap(), 2);
        assert_eq!(key(&pool, 2, "c", "r").as_deref(), Ok("lock||r"));
    }
}

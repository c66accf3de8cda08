//! The pool of instances. It keeps a few warm, makes more when many threads call at once, and never uses an instance
//! again after a trap.
//!
//! Own code: wasmtime pools the memory of instances, not the instances.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use wasmtime::Result;

use super::{
    engine,
    instance::{HostState, Instance},
    metrics::{Discarded, InstanceMetrics},
    scopes::{Scope, Scopes},
};
use crate::{
    bindings::HostSidePre,
    error::{BuildError, Error},
    limits::Limits,
    types::{Answer, Begun, Form, Outcome, Request, StoreChoice, StoreInfo, Verb},
};

/// Instances of the lock component.
pub(crate) struct Pool {
    component: HostSidePre<HostState>,
    limits: Limits,
    scopes: Arc<Scopes>,
    instances: Mutex<Instances>,
    returned: Condvar,
    metrics: InstanceMetrics,
}

#[derive(Default)]
struct Instances {
    warm: Vec<Instance>,
    /// How many instances exist, warm or at work.
    alive: usize,
    /// How many threads wait for an instance. A notification costs a system call even if no thread waits.
    awaited: usize,
}

impl Pool {
    /// Loads the component and makes the warm instances.
    pub(crate) fn new(limits: &Limits) -> Result<Self, BuildError> {
        limits.check()?;
        let component = engine::load(limits).map_err(BuildError::Component)?;
        let metrics = InstanceMetrics::new();
        let warm = (0..limits.warm_instances)
            .map(|_| Instance::new(&component, limits).inspect(|_| metrics.created()))
            .collect::<Result<Vec<_>>>()
            .map_err(BuildError::Component)?;
        Ok(Self {
            instances: Mutex::new(Instances { alive: warm.len(), warm, awaited: 0 }),
            component,
            limits: limits.clone(),
            scopes: Arc::default(),
            returned: Condvar::new(),
            metrics,
        })
    }

    /// Lets the rules check the stores of an application. The scope lasts until it is dropped.
    pub(crate) fn scope(&self, stores: &[StoreInfo]) -> Result<Scope, BuildError> {
        let scope = self.scopes.add(stores);
        let mut instance = self.take().map_err(BuildError::Component)?;
        match instance.configure(&scope) {
            Ok(configured) => {
                self.put_back(instance);
                configured.map(|()| scope)
            }
            Err(trap) => {
                self.discard(instance, Discarded::Trapped);
                Err(BuildError::Component(trap))
            }
        }
    }

    /// The first step of a call.
    pub(crate) fn begin(
        &self,
        scope: &Scope,
        store: StoreChoice<'_>,
        request: Request<'_>,
    ) -> Result<Begun, Error> {
        self.run(|instance| instance.begin(scope, store, request))
    }

    /// The last step of a call.
    pub(crate) fn end(
        &self,
        verb: Verb,
        form: Form,
        outcome: Outcome<'_>,
    ) -> Result<Answer, Error> {
        self.run(|instance| instance.end(verb, form, outcome))
    }

    /// Runs a step. An instance that traps is discarded.
    fn run<T>(&self, step: impl FnOnce(&mut Instance) -> Result<T>) -> Result<T, Error> {
        let mut instance = self.take().map_err(failed)?;
        let done = instance.forget_ended(&self.scopes).and_then(|()| step(&mut instance));
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

    /// Takes a warm instance, makes a new one, or waits for the first that is put back. A step ends within its
    /// deadline, so the wait is bounded.
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
            instances.awaited += 1;
            instances = self.returned.wait(instances).unwrap_or_else(PoisonError::into_inner);
            instances.awaited -= 1;
        }
        drop(instances);
        Instance::new(&self.component, &self.limits)
            .inspect(|_| self.metrics.created())
            .inspect_err(|_| self.forget())
    }

    fn put_back(&self, instance: Instance) {
        if instance.memory() > self.limits.instance_memory_kept {
            return self.discard(instance, Discarded::Grown);
        }
        let mut instances = self.lock();
        if instances.warm.len() >= self.limits.warm_instances {
            drop(instances);
            return self.discard(instance, Discarded::Surplus);
        }
        instances.warm.push(instance);
        self.notify(instances);
    }

    /// Records how many instances exist.
    pub(crate) fn record_gauges(&self) {
        let instances = self.lock();
        let (idle, alive) = (instances.warm.len(), instances.alive);
        drop(instances);
        self.metrics.set_counts(idle, alive - idle);
    }

    fn discard(&self, instance: Instance, why: Discarded) {
        self.metrics.discarded(why);
        // The memory must be free before another thread may make an instance in its place.
        drop(instance);
        self.forget();
    }

    fn forget(&self) {
        let mut instances = self.lock();
        instances.alive -= 1;
        self.notify(instances);
    }

    fn notify(&self, instances: MutexGuard<'_, Instances>) {
        let awaited = instances.awaited > 0;
        drop(instances);
        if awaited {
            self.returned.notify_one();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Instances> {
        self.instances.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn failed(trap: wasmtime::Error) -> Error {
    tracing::error!("the lock component failed and its instance is replaced: {trap:#}");
    Error::Component(trap.root_cause().to_string())
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;
    use crate::types::TryLockRequest;

    fn pool(limits: impl FnOnce(&mut Limits)) -> Pool {
        let mut all = Limits { warm_instances: 1, ..Limits::default() };
        limits(&mut all);
        Pool::new(&all).unwrap()
    }

    fn scope(pool: &Pool, name: &str) -> Scope {
        pool.scope(&[info(name, None)]).unwrap()
    }

    fn info(name: &str, key_prefix: Option<&str>) -> StoreInfo {
        StoreInfo {
            name: name.to_owned(),
            key_prefix: key_prefix.map(str::to_owned),
            app_id: "app".to_owned(),
        }
    }

    fn request(resource_id: &str) -> Request<'_> {
        Request::TryLock(TryLockRequest { resource_id, has_owner: true, ttl: 1 })
    }

    /// The key that the component makes.
    fn key(pool: &Pool, scope: &Scope, resource_id: &str) -> Result<String, Error> {
        match pool.begin(scope, StoreChoice::Configured(0), request(resource_id))? {
            Begun::Acquire(step) => Ok(step.key),
            begun => panic!("{begun:?}"),
        }
    }

    fn counts(pool: &Pool) -> (usize, usize) {
        let instances = pool.lock();
        (instances.warm.len(), instances.alive)
    }

    #[test]
    fn an_instance_that_exceeds_its_deadline_is_replaced() {
        let pool = pool(|_| {});
        let (first, second) = (scope(&pool, "a"), scope(&pool, "b"));
        let overrun = pool.run(|instance| {
            instance.set_step_ticks(0);
            instance.begin(&first, StoreChoice::Configured(0), request("r"))
        });
        assert_eq!(overrun.unwrap_err(), Error::Component("wasm trap: interrupt".to_owned()));
        assert_eq!(counts(&pool), (0, 0));
        // A new instance gets to know both scopes.
        assert_eq!(key(&pool, &second, "r").as_deref(), Ok("lock||app||r"));
        assert_eq!(key(&pool, &first, "r").as_deref(), Ok("lock||app||r"));
        assert_eq!(counts(&pool), (1, 1));
    }

    #[test]
    fn the_clock_ends_a_step_that_does_not_end() {
        let pool = pool(|_| {});
        let scope = scope(&pool, "a");
        let bound = Instant::now() + Duration::from_secs(20);
        let ended = pool.run(|instance| {
            // Each step renews the deadline, so that only the epoch of the first step counts.
            instance.set_step_ticks(0);
            while Instant::now() < bound {
                instance.begin(&scope, StoreChoice::Configured(0), request("r"))?;
            }
            Ok(())
        });
        assert_eq!(ended, Err(Error::Component("wasm trap: interrupt".to_owned())));
    }

    #[test]
    fn an_instance_that_needs_too_much_memory_fails_alone() {
        let pool = pool(|limits| limits.instance_memory = 2 << 20);
        let scope = scope(&pool, "a");
        let long = "x".repeat(3 << 20);
        let failed = key(&pool, &scope, &long).unwrap_err();
        assert!(matches!(failed, Error::Component(_)), "{failed:?}");
        assert_eq!(key(&pool, &scope, "r").as_deref(), Ok("lock||app||r"));
    }

    #[test]
    fn an_instance_that_has_grown_is_replaced() {
        let pool = pool(|_| {});
        let scope = scope(&pool, "a");
        assert_eq!(key(&pool, &scope, "r").as_deref(), Ok("lock||app||r"));
        assert_eq!(counts(&pool), (1, 1));
        let long = "x".repeat(1 << 20);
        assert_eq!(key(&pool, &scope, &long).map(|key| key.len()), Ok((1 << 20) + 11));
        assert_eq!(counts(&pool), (0, 0));
        assert_eq!(key(&pool, &scope, "r").as_deref(), Ok("lock||app||r"));
    }

    #[test]
    fn threads_wait_for_an_instance_only_while_all_are_busy() {
        let pool = pool(|limits| limits.instances = 2);
        let scopes = [scope(&pool, "a"), scope(&pool, "b")];
        std::thread::scope(|threads| {
            for thread in 0..8 {
                let (pool, scope) = (&pool, &scopes[thread % 2]);
                threads.spawn(move || {
                    for call in 0..200 {
                        let resource = format!("{thread}-{call}");
                        let made = key(pool, scope, &resource);
                        assert_eq!(made, Ok(format!("lock||app||{resource}")));
                    }
                });
            }
        });
        let (warm, alive) = counts(&pool);
        assert!(warm == 1 && alive <= 2, "{warm} warm of {alive}");
        assert_eq!(pool.lock().awaited, 0);
    }

    #[test]
    fn stores_that_the_rules_refuse_take_no_number() {
        let pool = pool(|_| {});
        let refused = pool.scope(&[info("c", Some("a||b"))]).map(drop).unwrap_err();
        assert_eq!(
            refused.to_string(),
            "lock store c: keyPrefix: input key/keyPrefix 'a||b' can't contain '||'"
        );
        let accepted = pool.scope(&[info("c", Some("none"))]).unwrap();
        assert_eq!(accepted.number(), 0);
        assert_eq!(key(&pool, &accepted, "r").as_deref(), Ok("lock||r"));
    }

    #[test]
    fn a_scope_that_ended_is_forgotten_and_its_number_used_again() {
        let pool = pool(|_| {});
        let kept = scope(&pool, "kept");
        let known = |pool: &Pool| pool.lock().warm[0].known_scopes();
        for tenant in 0..100 {
            let prefix = format!("tenant-{tenant}");
            let scope = pool.scope(&[info("s", Some(&prefix))]).unwrap();
            assert_eq!(scope.number(), 1);
            assert_eq!(key(&pool, &scope, "r"), Ok(format!("lock||{prefix}||r")));
            assert_eq!(known(&pool), 2);
        }
        assert_eq!(key(&pool, &kept, "r").as_deref(), Ok("lock||app||r"));
        assert_eq!(known(&pool), 1);
    }
}

//! The handle that transports, plugins and embedders call: a step of the component, the operation on
//! the store that it asks for, and the component's verdict.

mod calls;
mod holds;
mod metrics;
mod named_store;
mod outcomes;
mod spans;

use std::{
    collections::HashMap,
    fmt,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use ::metrics::Gauge;
use tokio::sync::{Semaphore, SemaphorePermit};
use tracing::Instrument;

pub use self::spans::SPAN_DETAILS;
use self::{
    calls::{Call, Calls},
    metrics::StoreMetrics,
    named_store::NamedStore,
    outcomes::{Attempt, ErrorKind, Unlock},
};
use crate::{
    bindings::provider::holdfast::lock::store::{
        AcquireCommand, Acquired as WitAcquired, Failure as WitFailure, ReleaseCommand,
        Released as WitReleased, StoreInfo,
    },
    error::{BuildError, Error},
    guest::{Instance, Pool, Scope},
    limits::Limits,
    metrics::{CALLS_IN_FLIGHT, CALLS_WAITING},
    store::Store,
};

/// Locks over one or more stores: cheap to clone, safe to share.
///
/// A handle speaks for one application: its id and its stores are what [`builder`](Self::builder) or
/// [`scoped`](Self::scoped) was given, and no argument of a call reaches beyond them.
///
/// Futures may be dropped at any point. A lock that was taken for nobody is given back.
#[derive(Clone)]
pub struct Locks {
    shared: Arc<Shared>,
    scope: Scope,
    /// The scope's stores, as the component knows them.
    infos: Arc<[StoreInfo]>,
}

/// What all handles to the same stores share.
struct Shared {
    pool: Pool,
    stores: HashMap<String, NamedStore>,
    limits: Limits,
    in_flight: Semaphore,
    waiting: AtomicUsize,
    /// Calls that name an unknown store.
    to_unknown_store: Calls,
    in_flight_gauge: Gauge,
    waiting_gauge: Gauge,
}

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

/// What a caller of the wire form is to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The HTTP status.
    pub status: u16,
    /// The body, of type `application/json`.
    pub body: Vec<u8>,
}

impl Locks {
    /// Starts with no store, no application id and the default limits.
    pub fn builder() -> LocksBuilder {
        LocksBuilder::default()
    }

    /// Takes a lock if it is free, without waiting.
    ///
    /// `true`: the owner holds it from now on for `expiry_in_seconds` (1 to 2,147,483,647). `false`: it
    /// is held, by whomever; a second try by the same owner is also `false`.
    ///
    /// # Errors
    ///
    /// See [`Error`]: only after [`Error::Indeterminate`] may the lock be taken all the same.
    pub async fn try_lock(
        &self,
        store_name: &str,
        resource_id: &str,
        lock_owner: &str,
        expiry_in_seconds: i32,
    ) -> Result<bool, Error> {
        let mut call = self.calls(store_name).attempt(store_name);
        let span = call.span().clone();
        let trying = async {
            let _turn = self.turn().await?;
            let command = self.step(|guest| {
                let (steps, store) = guest.steps();
                steps.call_begin_try_lock(
                    store,
                    self.scope,
                    store_name,
                    resource_id,
                    lock_owner,
                    expiry_in_seconds,
                )
            })??;
            let verdict = self
                .acquire(&mut call, &command, |guest, outcome| {
                    let (steps, store) = guest.steps();
                    steps.call_end_try_lock(store, outcome)
                })
                .await?;
            Ok(verdict?)
        };
        let taken = trying.instrument(span).await;
        call.ended(&taken);
        taken
    }

    /// Frees a lock if the owner holds it.
    ///
    /// # Errors
    ///
    /// See [`Error`]: after [`Error::Indeterminate`] the lock may be free or still held.
    pub async fn unlock(
        &self,
        store_name: &str,
        resource_id: &str,
        lock_owner: &str,
    ) -> Result<UnlockStatus, Error> {
        let mut call = self.calls(store_name).unlock(store_name);
        let span = call.span().clone();
        let freeing = async {
            let _turn = self.turn().await?;
            let command = self.step(|guest| {
                let (steps, store) = guest.steps();
                steps.call_begin_unlock(store, self.scope, store_name, resource_id, lock_owner)
            })??;
            let verdict = self
                .release(&mut call, &command, |guest, outcome| {
                    let (steps, store) = guest.steps();
                    steps.call_end_unlock(store, outcome)
                })
                .await?;
            Ok(verdict?.into())
        };
        let status = freeing.instrument(span).await;
        call.ended(&status);
        status
    }

    /// A try-lock in the wire form of Dapr's HTTP API.
    ///
    /// # Errors
    ///
    /// [`Error::Overloaded`] and [`Error::Guest`]; everything else is a reply.
    pub async fn try_lock_json(&self, store_name: &str, body: &[u8]) -> Result<Reply, Error> {
        let mut call = self.calls(store_name).attempt(store_name);
        let span = call.span().clone();
        let replying = async {
            let _turn = self.turn().await?;
            let begun = self.step(|guest| {
                let (steps, store) = guest.steps();
                steps.call_begin_json_try_lock(store, self.scope, store_name, body)
            })?;
            match begun {
                Ok(command) => self
                    .acquire(&mut call, &command, |guest, outcome| {
                        let (steps, store) = guest.steps();
                        steps.call_end_json_try_lock(store, outcome)
                    })
                    .await
                    .map(Reply::from),
                Err(reply) => {
                    call.answered(self.refusal(store_name, reply.status));
                    Ok(reply.into())
                }
            }
        };
        let reply = replying.instrument(span).await;
        call.ended(&reply);
        reply
    }

    /// An unlock in the wire form of Dapr's HTTP API.
    ///
    /// # Errors
    ///
    /// [`Error::Overloaded`] and [`Error::Guest`]; everything else is a reply.
    pub async fn unlock_json(&self, store_name: &str, body: &[u8]) -> Result<Reply, Error> {
        let mut call = self.calls(store_name).unlock(store_name);
        let span = call.span().clone();
        let replying = async {
            let _turn = self.turn().await?;
            let begun = self.step(|guest| {
                let (steps, store) = guest.steps();
                steps.call_begin_json_unlock(store, self.scope, store_name, body)
            })?;
            match begun {
                Ok(command) => self
                    .release(&mut call, &command, |guest, outcome| {
                        let (steps, store) = guest.steps();
                        steps.call_end_json_unlock(store, outcome)
                    })
                    .await
                    .map(Reply::from),
                Err(reply) => {
                    call.answered(self.refusal(store_name, reply.status));
                    Ok(reply.into())
                }
            }
        };
        let reply = replying.instrument(span).await;
        call.ended(&reply);
        reply
    }

    /// A handle for another application, over some of the same stores and within the same limits.
    ///
    /// What the component learns of an application it never forgets: make one handle for each
    /// application, not for each call.
    ///
    /// # Errors
    ///
    /// [`BuildError::NoSuchStore`] for a name that the builder was not given; [`BuildError::AppId`] for
    /// an id with a `|`.
    pub fn scoped(&self, app_id: &str, store_names: &[&str]) -> Result<Self, BuildError> {
        if app_id.contains('|') {
            return Err(BuildError::AppId(app_id.to_owned()));
        }
        let stores = store_names
            .iter()
            .map(|name| {
                let named = self.shared.stores.get(*name);
                let named = named.ok_or_else(|| BuildError::NoSuchStore((*name).to_owned()))?;
                Ok(named.info(name, app_id))
            })
            .collect::<Result<Vec<_>, BuildError>>()?;
        Self::in_scope(Arc::clone(&self.shared), stores)
    }

    /// Waits until the stores have finished what was left to them, and closes their connections: calls
    /// that need one, through any handle to the same stores, fail from then on.
    pub async fn close(&self) {
        let stores = self.shared.stores.values();
        futures_util::future::join_all(stores.map(|named| named.store.close())).await;
    }

    /// Brings those gauges up to date that are cheaper to look at than to keep: the component's instances,
    /// and the calls in flight and waiting. For whoever reads the metrics, right before that; of several
    /// handles to the same stores one is enough.
    pub fn record_gauges(&self) {
        let Shared { pool, limits, in_flight, waiting, in_flight_gauge, waiting_gauge, .. } =
            &*self.shared;
        pool.record_gauges();
        in_flight_gauge.set(limits.in_flight.saturating_sub(in_flight.available_permits()) as f64);
        // Those that are just being refused are counted too.
        waiting_gauge.set(waiting.load(Ordering::Relaxed).min(limits.waiting) as f64);
    }

    fn in_scope(shared: Arc<Shared>, infos: Vec<StoreInfo>) -> Result<Self, BuildError> {
        let scope = shared.pool.add_scope(&infos)?;
        Ok(Self { shared, scope, infos: infos.into() })
    }

    /// The stores that this handle may use.
    pub(crate) fn infos(&self) -> &[StoreInfo] {
        &self.infos
    }

    /// The operation alone, for a component that knows the rules itself.
    pub(crate) async fn acquire_for(
        &self,
        command: &AcquireCommand,
    ) -> Result<WitAcquired, WitFailure> {
        let mut call = self.calls(&command.store).attempt(&command.store);
        let span = call.span().clone();
        let acquiring = async {
            let turn = self.turn().await;
            call.ended(&turn);
            let _turn = turn.map_err(not_done)?;
            let store = self
                .allowed(&command.store)
                .inspect_err(|_| call.answered(ErrorKind::StoreNotFound))?;
            let (outcome, since) = store.acquire(&mut call, command).await;
            if let Ok(WitAcquired::Granted(_)) = outcome {
                store.hold_begins(command, since);
            }
            outcome
        };
        acquiring.instrument(span).await
    }

    /// The operation alone, likewise.
    pub(crate) async fn release_for(
        &self,
        command: &ReleaseCommand,
    ) -> Result<WitReleased, WitFailure> {
        let mut call = self.calls(&command.store).unlock(&command.store);
        let span = call.span().clone();
        let releasing = async {
            let turn = self.turn().await;
            call.ended(&turn);
            let _turn = turn.map_err(not_done)?;
            let store = self
                .allowed(&command.store)
                .inspect_err(|_| call.answered(ErrorKind::StoreNotFound))?;
            store.release(&mut call, command).await
        };
        releasing.instrument(span).await
    }

    /// A store of this handle's scope.
    fn allowed(&self, name: &str) -> Result<&NamedStore, WitFailure> {
        if self.has(name) {
            return self.store(name).map_err(not_done);
        }
        Err(WitFailure::NotDone(format!("there is no lock store {name}")))
    }

    fn has(&self, name: &str) -> bool {
        self.infos.iter().any(|info| info.name == name)
    }

    /// Where calls to a store are counted.
    fn calls(&self, store_name: &str) -> &Calls {
        match self.shared.stores.get(store_name) {
            Some(named) if self.has(store_name) => &named.metrics.calls,
            _ => &self.shared.to_unknown_store,
        }
    }

    /// Why the component refused a call before it came to the store, as far as can be told without
    /// reading what only the component reads: of a call that is both malformed and for a store that there
    /// is not, the store is said.
    fn refusal(&self, store_name: &str, status: u16) -> ErrorKind {
        match status {
            400 if self.has(store_name) => ErrorKind::Invalid,
            400 => ErrorKind::StoreNotFound,
            500 if self.infos.is_empty() => ErrorKind::StoreNotConfigured,
            500 => ErrorKind::Reserved,
            _ => ErrorKind::Other,
        }
    }

    /// A call's place among those in flight, as soon as there is one.
    async fn turn(&self) -> Result<SemaphorePermit<'_>, Error> {
        let Shared { in_flight, waiting, limits, .. } = &*self.shared;
        if let Ok(turn) = in_flight.try_acquire() {
            return Ok(turn);
        }
        let overloaded =
            || Error::Overloaded { in_flight: limits.in_flight, waiting: limits.waiting };
        let _waiting = Waiting::enter(waiting, limits.waiting).ok_or_else(overloaded)?;
        in_flight.acquire().await.map_err(|_closed| overloaded())
    }

    fn step<T>(&self, step: impl FnOnce(&mut Instance) -> wasmtime::Result<T>) -> Result<T, Error> {
        self.shared.pool.run(step)
    }

    /// Does the operation, and has the component say what its outcome means.
    async fn acquire<T>(
        &self,
        call: &mut Call<'_, Attempt>,
        command: &AcquireCommand,
        end: impl FnOnce(&mut Instance, Result<WitAcquired, &WitFailure>) -> wasmtime::Result<T>,
    ) -> Result<T, Error> {
        let store = self.store(&command.store)?;
        let (outcome, since) = store.acquire(call, command).await;
        let granted = matches!(outcome, Ok(WitAcquired::Granted(_)));
        let verdict = self.step(|guest| end(guest, outcome.as_ref().map(|acquired| *acquired)));
        if granted && verdict.is_ok() {
            store.hold_begins(command, since);
        } else if granted {
            // Nobody will hear that it was taken.
            if let Err(failure) = store.store.release(&command.key, &command.owner).await {
                tracing::warn!("a lock that nobody uses could not be given back: {failure}");
            }
        }
        verdict
    }

    /// Does the operation, and has the component say what its outcome means.
    async fn release<T>(
        &self,
        call: &mut Call<'_, Unlock>,
        command: &ReleaseCommand,
        end: impl FnOnce(&mut Instance, Result<WitReleased, &WitFailure>) -> wasmtime::Result<T>,
    ) -> Result<T, Error> {
        let outcome = self.store(&command.store)?.release(call, command).await;
        self.step(|guest| end(guest, outcome.as_ref().map(|released| *released)))
    }

    /// The store that the component named. It knows no others than the builder was given.
    fn store(&self, name: &str) -> Result<&NamedStore, Error> {
        match self.shared.stores.get(name) {
            Some(named) => Ok(named),
            None => Err(Error::Guest(format!("it names a lock store {name} that there is not"))),
        }
    }
}

impl fmt::Debug for Locks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Locks")
            .field("stores", &self.shared.stores.keys())
            .field("scope", &self.scope)
            .finish_non_exhaustive()
    }
}

/// A call that waits for its turn; counted until it is dropped.
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn enter(waiting: &'a AtomicUsize, most: usize) -> Option<Self> {
        let place = Self(waiting);
        (waiting.fetch_add(1, Ordering::Relaxed) < most).then_some(place)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Builds a [`Locks`].
#[derive(Default)]
pub struct LocksBuilder {
    app_id: String,
    stores: Vec<Given>,
    limits: Limits,
}

struct Given {
    name: String,
    key_prefix: String,
    store: Arc<dyn Store>,
}

impl LocksBuilder {
    /// The id of the application that locks; none by default.
    pub fn app_id(mut self, app_id: impl Into<String>) -> Self {
        self.app_id = app_id.into();
        self
    }

    /// Adds a store under a name, with its `keyPrefix` setting: `appid` (also when empty), `name`,
    /// `none`, or any other word. Case does not matter.
    pub fn store(
        mut self,
        name: impl Into<String>,
        key_prefix: impl AsRef<str>,
        store: Arc<dyn Store>,
    ) -> Self {
        let key_prefix = key_prefix.as_ref().to_lowercase();
        self.stores.push(Given { name: name.into(), key_prefix, store });
        self
    }

    /// Sets the bounds.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Loads the lock component and warms it up. From now on the recorder of metrics that is in place
    /// gets those of these locks.
    ///
    /// # Errors
    ///
    /// See [`BuildError`].
    pub fn build(self) -> Result<Locks, BuildError> {
        crate::metrics::describe();
        let mut infos = Vec::with_capacity(self.stores.len());
        let mut stores = HashMap::with_capacity(self.stores.len());
        for Given { name, key_prefix, store } in self.stores {
            if stores.contains_key(&name) {
                return Err(BuildError::DuplicateStore(name));
            }
            let named = NamedStore { key_prefix, store, metrics: StoreMetrics::new(&name) };
            infos.push(named.info(&name, &self.app_id));
            stores.insert(name, named);
        }
        let shared = Shared {
            pool: Pool::new(&self.limits)?,
            stores,
            in_flight: Semaphore::new(self.limits.in_flight),
            waiting: AtomicUsize::new(0),
            limits: self.limits,
            to_unknown_store: Calls::to_unknown_store(),
            in_flight_gauge: CALLS_IN_FLIGHT.with(()),
            waiting_gauge: CALLS_WAITING.with(()),
        };
        Locks::in_scope(Arc::new(shared), infos)
    }
}

impl fmt::Debug for LocksBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.stores.iter().map(|given| &given.name).collect();
        f.debug_struct("LocksBuilder")
            .field("app_id", &self.app_id)
            .field("stores", &names)
            .field("limits", &self.limits)
            .finish()
    }
}

fn not_done(error: Error) -> WitFailure {
    WitFailure::NotDone(error.to_string())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures_util::{FutureExt, future::BoxFuture};
    use tokio::sync::Notify;

    use super::*;
    use crate::store::{Acquired, Failure, Released, memory::MemoryStore};

    fn in_memory() -> (Locks, Arc<MemoryStore>) {
        let store = Arc::new(MemoryStore::new());
        let locks = Locks::builder().store("s", "", Arc::clone(&store) as _).build().unwrap();
        (locks, store)
    }

    #[test]
    fn no_two_applications_can_share_a_key() {
        let (locks, _) = in_memory();
        let refused = locks.scoped("one|", &["s"]).unwrap_err();
        assert_eq!(
            refused.to_string(),
            "the app id one| contains |, which separates the parts of a key"
        );
        assert!(locks.scoped("one", &["s"]).is_ok());
    }

    #[tokio::test]
    async fn what_was_taken_for_a_call_that_fails_is_given_back() {
        let (locks, _) = in_memory();
        let mut call = locks.calls("s").attempt("s");
        let command = AcquireCommand {
            store: "s".to_owned(),
            key: "lock||r".to_owned(),
            owner: "o".to_owned(),
            ttl: 60_000,
        };
        let failed: Result<bool, _> = locks
            .acquire(&mut call, &command, |_, outcome| {
                assert!(matches!(outcome, Ok(WitAcquired::Granted(_))));
                Err(wasmtime::Error::msg("trapped"))
            })
            .await;
        assert_eq!(failed, Err(Error::Guest("trapped".to_owned())));
        assert_eq!(locks.try_lock("s", "r", "other", 60).await, Ok(true));
    }

    #[tokio::test]
    async fn a_lock_that_was_held_already_is_not_given_back() {
        let (locks, store) = in_memory();
        assert_eq!(locks.try_lock("s", "r", "o", 60).await, Ok(true));
        let mut call = locks.calls("s").attempt("s");
        let command = AcquireCommand {
            store: "s".to_owned(),
            key: "lock||r".to_owned(),
            owner: "o".to_owned(),
            ttl: 60_000,
        };
        let failed: Result<bool, _> =
            locks.acquire(&mut call, &command, |_, _| Err(wasmtime::Error::msg("trapped"))).await;
        assert!(failed.is_err());
        assert_eq!(store.release("lock||r", "o").await, Ok(Released::Released));
    }

    /// A store that answers when it is told to.
    #[derive(Default)]
    struct Stuck(Notify);

    impl Store for Stuck {
        fn acquire<'a>(
            &'a self,
            _: &'a str,
            _: &'a str,
            _: Duration,
        ) -> BoxFuture<'a, Result<Acquired, Failure>> {
            Box::pin(async {
                self.0.notified().await;
                Ok(Acquired::Held)
            })
        }

        fn release<'a>(
            &'a self,
            _: &'a str,
            _: &'a str,
        ) -> BoxFuture<'a, Result<Released, Failure>> {
            Box::pin(async { Ok(Released::Missing) })
        }
    }

    #[tokio::test]
    async fn calls_beyond_the_bounds_are_refused_and_others_served_in_turn() {
        let stuck = Arc::new(Stuck::default());
        let limits = Limits { in_flight: 1, waiting: 1, ..Limits::default() };
        let locks = Locks::builder()
            .store("s", "", Arc::clone(&stuck) as _)
            .limits(limits)
            .build()
            .unwrap();

        let mut first = Box::pin(locks.try_lock("s", "r", "o", 1));
        assert!((&mut first).now_or_never().is_none());
        let mut second = Box::pin(locks.unlock("s", "r", "o"));
        assert!((&mut second).now_or_never().is_none());
        let third = locks.unlock("s", "r", "o").await.unwrap_err();
        assert_eq!(third, Error::Overloaded { in_flight: 1, waiting: 1 });
        assert_eq!(third.to_string(), "too many calls: 1 in flight and 1 waiting");

        // One that waits and goes away makes room.
        drop(second);
        let second = locks.unlock("s", "r", "o");
        let (first, second, ()) = tokio::join!(first, second, async { stuck.0.notify_one() });
        assert_eq!(first, Ok(false));
        assert_eq!(second, Ok(UnlockStatus::LockDoesNotExist));
    }

    #[test]
    fn a_name_is_given_once() {
        let store = || Arc::new(MemoryStore::new());
        let twice = Locks::builder().store("s", "", store()).store("s", "", store()).build();
        assert_eq!(twice.unwrap_err().to_string(), "lock store s is given twice");
    }
}

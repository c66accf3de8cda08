//! The verbs of leases.

use std::time::Duration;

use holdfast_timing::whole_milliseconds;

use super::{
    app,
    handle::{Locks, Resource, no_verdict},
};
use crate::{
    error::Error,
    store::Watched,
    types::{
        AcquireRequest, Answer, Begun, ExtendRequest, Extended, Holding, InspectRequest,
        InspectStep, Lease, LeaseOptions, Request,
    },
};

impl Locks {
    /// Takes a lock, and waits for it if it is held. Returns `None` if the lock was not free in time.
    ///
    /// The callers of this process that wait for the same lock get it in the order of their arrival. If a caller drops
    /// the future, nothing is left behind, and a grant that came meanwhile is given back.
    ///
    /// The lease excludes [`try_lock`](Self::try_lock), and [`unlock`](Self::unlock) releases it.
    ///
    /// ```
    /// use std::{sync::Arc, time::Duration};
    ///
    /// use holdfast::{LeaseOptions, Locks, Resource, store::memory::MemoryStore};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let locks = Locks::builder().store("lockstore", Arc::new(MemoryStore::new())).build()?;
    /// let order = Resource { store: "lockstore", id: "order-17" };
    ///
    /// let second = Duration::from_secs(1);
    /// let options = LeaseOptions::new(30 * second).wait(5 * second).fenced();
    /// let lease = locks.acquire(order, &options).await?.expect("nobody else has it");
    /// assert!(lease.valid_for() <= 30 * second && lease.fencing_token.is_some());
    ///
    /// let extended = locks.extend(order, &lease.owner, 30 * second, false).await?;
    /// assert!(matches!(extended, holdfast::Extended::Extended(_)));
    /// locks.unlock(order, &lease.owner).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// See [`Error`]. Only after an error that [is indeterminate](Error::is_indeterminate) may the lock be taken. A
    /// failure of the store ends the wait, and so does [`end_waits`](Self::end_waits).
    pub async fn acquire(
        &self,
        resource: Resource<'_>,
        options: &LeaseOptions,
    ) -> Result<Option<Lease>, Error> {
        let owner = options.owner.as_deref();
        let request = Request::Acquire(AcquireRequest {
            resource_id: resource.id,
            owner_is_empty: owner.is_some_and(str::is_empty),
            ttl: options.ttl,
            wait: options.wait,
            fenced: options.fenced,
        });
        match self.shared.call(&self.app, resource.store, request, owner).await?.answer {
            Answer::Acquire(lease) => Ok(lease),
            answer => Err(no_verdict(answer)),
        }
    }

    /// Makes a lock last for `ttl` from now, if the owner holds it. `ttl` is rounded up to whole milliseconds:
    /// from 1 ms to 2,147,483,647 s. A lock that lasts longer keeps its time unless `may_shorten`.
    ///
    /// # Errors
    ///
    /// See [`Error`]. After an error that [is indeterminate](Error::is_indeterminate) the lock may be extended
    /// or not.
    pub async fn extend(
        &self,
        resource: Resource<'_>,
        owner: &str,
        ttl: Duration,
        may_shorten: bool,
    ) -> Result<Extended, Error> {
        let request = Request::Extend(ExtendRequest {
            resource_id: resource.id,
            has_owner: !owner.is_empty(),
            ttl: whole_milliseconds(ttl),
            may_shorten,
        });
        match self.shared.call(&self.app, resource.store, request, Some(owner)).await?.answer {
            Answer::Extend(extended) => Ok(extended),
            answer => Err(no_verdict(answer)),
        }
    }

    /// The holder of a lock; `None` if it is free. The answer may be out of date when it arrives.
    ///
    /// # Errors
    ///
    /// See [`Error`]. No error is indeterminate.
    pub async fn inspect(&self, resource: Resource<'_>) -> Result<Option<Holding>, Error> {
        let request = Request::Inspect(InspectRequest { resource_id: resource.id });
        match self.shared.call(&self.app, resource.store, request, None).await?.answer {
            Answer::Inspect(holding) => Ok(holding),
            answer => Err(no_verdict(answer)),
        }
    }

    /// Watches a lock; `None` if its store cannot notify of changes.
    pub(super) async fn watch(&self, resource: Resource<'_>) -> Option<Watched> {
        let choice = self.app.store(resource.store)?;
        let chosen = app::chosen(Some(choice), resource.store);
        let request = Request::Inspect(InspectRequest { resource_id: resource.id });
        match self.shared.pool.begin(&self.app.scope, chosen, request) {
            Ok(Begun::Inspect(InspectStep { key })) => choice.store.store.watch(&key).await,
            _ => None,
        }
    }
}

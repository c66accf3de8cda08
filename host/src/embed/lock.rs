//! `holdfast:lock/lock` and `holdfast:lock/lease` for plugins.

use std::{mem, time::Duration};

use tokio::{runtime::Handle, time::Instant};
use wasmtime::{
    Result,
    component::{HasData, Linker},
};

use super::leases::Leases;
use crate::{
    bindings::holdfast::lock::{lease, lock, types},
    locks::{Attempt, Locks, Resource},
    types::{Error, Extended, Holding, Lease, LeaseOptions, UnlockStatus},
};

/// What the host lends one instance of a plugin: locks, and a record of the leases that the plugin takes.
///
/// If the instance still holds a lease when this is dropped, the lease is released in the background, provided that the
/// drop happens in a Tokio runtime. Otherwise it expires. A lock that `lock.try-lock` took is kept, as Dapr's locks
/// are.
#[derive(Debug)]
pub struct LockCtx {
    pub(super) locks: Locks,
    leases: Leases,
}

impl LockCtx {
    /// Lends these locks. A handle of its own ([`Locks::scoped`]) keeps a plugin away from the locks of others.
    pub fn new(locks: Locks) -> Self {
        Self { locks, leases: Leases::default() }
    }

    /// Releases the leases that the instance still holds. A host that ends with the instance calls this, because the
    /// background releases of a drop might not finish before the stores are closed.
    pub async fn release(&mut self) {
        self.leases.release(&self.locks).await;
    }
}

impl Drop for LockCtx {
    fn drop(&mut self) {
        if self.leases.is_empty() {
            return;
        }
        let Ok(runtime) = Handle::try_current() else { return };
        let (locks, mut leases) = (self.locks.clone(), mem::take(&mut self.leases));
        let background = locks.background().clone();
        background.spawn_on(async move { leases.release(&locks).await }, &runtime);
    }
}

/// Where the host keeps what it lends an instance.
#[derive(Debug)]
pub struct LockView<'a> {
    /// The locks of the instance that calls.
    pub ctx: &'a mut LockCtx,
}

/// Adds `holdfast:lock/lock` and `holdfast:lock/lease` to a linker.
///
/// Every outcome is a value for the plugin, and none traps. If the host refuses a call because of overload, or the lock
/// component failed, the plugin gets `error::other`.
///
/// # Errors
///
/// If the linker has one of the interfaces already.
pub fn add_to_linker<T: Send + 'static>(
    linker: &mut Linker<T>,
    view: fn(&mut T) -> LockView<'_>,
) -> Result<()> {
    types::add_to_linker::<T, Lent>(linker, view)?;
    lock::add_to_linker::<T, Lent>(linker, view)?;
    lease::add_to_linker::<T, Lent>(linker, view)
}

pub(super) struct Lent;

impl HasData for Lent {
    type Data<'a> = LockView<'a>;
}

impl types::Host for LockView<'_> {}

impl lock::Host for LockView<'_> {
    async fn try_lock(
        &mut self,
        store: String,
        id: String,
        owner: String,
        expiry_in_seconds: i32,
    ) -> std::result::Result<bool, Error> {
        // The rules refuse zero.
        let seconds = u64::try_from(expiry_in_seconds).unwrap_or(0);
        let resource = Resource { store: &store, id: &id };
        let attempt =
            self.ctx.locks.try_lock(resource, &owner, Duration::from_secs(seconds)).await?;
        Ok(attempt == Attempt::Acquired)
    }

    async fn unlock(
        &mut self,
        store: String,
        id: String,
        owner: String,
    ) -> std::result::Result<UnlockStatus, Error> {
        let resource = Resource { store: &store, id: &id };
        let status = self.ctx.locks.unlock(resource, &owner).await?;
        self.ctx.leases.end(resource, &owner);
        Ok(status)
    }
}

impl lease::Host for LockView<'_> {
    async fn acquire(
        &mut self,
        store: String,
        id: String,
        options: LeaseOptions,
    ) -> std::result::Result<Option<Lease>, Error> {
        let resource = Resource { store: &store, id: &id };
        let lease = self.ctx.locks.acquire(resource, &options).await?;
        if let Some(lease) = &lease {
            let until = Instant::now().checked_add(Duration::from_millis(options.ttl));
            self.ctx.leases.begin(resource, lease.owner.clone(), until);
        }
        Ok(lease)
    }

    async fn extend(
        &mut self,
        store: String,
        id: String,
        owner: String,
        ttl: u64,
        may_shorten: bool,
    ) -> std::result::Result<Extended, Error> {
        let (resource, ttl) = (Resource { store: &store, id: &id }, Duration::from_millis(ttl));
        let extended = self.ctx.locks.extend(resource, &owner, ttl, may_shorten).await?;
        match extended {
            Extended::Extended(_) => {
                let until = Instant::now().checked_add(ttl);
                self.ctx.leases.prolong(resource, &owner, until, may_shorten);
            }
            Extended::Gone | Extended::HeldByOther => self.ctx.leases.end(resource, &owner),
        }
        Ok(extended)
    }

    async fn inspect(
        &mut self,
        store: String,
        id: String,
    ) -> std::result::Result<Option<Holding>, Error> {
        Ok(self.ctx.locks.inspect(Resource { store: &store, id: &id }).await?)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::store::memory::MemoryStore;

    fn options(owner: &str) -> LeaseOptions {
        LeaseOptions::new(Duration::from_secs(60)).owner(owner)
    }

    async fn take(ctx: &mut LockCtx, id: &str) {
        let mut view = LockView { ctx };
        let lease = lease::Host::acquire(&mut view, "s".into(), id.into(), options("me")).await;
        assert!(lease.unwrap().is_some(), "{id}");
    }

    async fn held(locks: &Locks) -> Vec<String> {
        let page = locks.list("s", "", None, 1_000).await.unwrap();
        page.locks.into_iter().map(|lock| lock.resource_id).collect()
    }

    #[tokio::test]
    async fn the_leases_that_an_instance_holds_end_with_it_and_nothing_else_does() {
        let locks = Locks::builder().store("s", Arc::new(MemoryStore::new())).build().unwrap();
        let mut ctx = LockCtx::new(locks.clone());
        for id in ["kept", "freed", "taken", "extended"] {
            take(&mut ctx, id).await;
        }
        let mut view = LockView { ctx: &mut ctx };
        assert!(
            lock::Host::try_lock(&mut view, "s".into(), "daprs".into(), "me".into(), 60)
                .await
                .unwrap()
        );
        lock::Host::unlock(&mut view, "s".into(), "freed".into(), "me".into()).await.unwrap();
        let second = 1_000;
        lease::Host::extend(&mut view, "s".into(), "extended".into(), "me".into(), second, true)
            .await
            .unwrap();
        // Other callers hold these locks by now, under the same owner.
        locks.acquire(Resource { store: "s", id: "freed" }, &options("me")).await.unwrap();
        locks.force_release(Resource { store: "s", id: "taken" }).await.unwrap();
        let taken =
            lease::Host::extend(&mut view, "s".into(), "taken".into(), "me".into(), 1, true);
        assert_eq!(taken.await, Ok(Extended::Gone));
        locks.acquire(Resource { store: "s", id: "taken" }, &options("me")).await.unwrap();

        ctx.release().await;
        let mut left = held(&locks).await;
        left.sort();
        assert_eq!(left, ["daprs", "freed", "taken"]);
    }

    #[tokio::test(start_paused = true)]
    async fn an_expired_lease_is_not_taken_from_the_next_owner_of_the_same_name() {
        let locks = Locks::builder().store("s", Arc::new(MemoryStore::new())).build().unwrap();
        let mut ctx = LockCtx::new(locks.clone());
        take(&mut ctx, "r").await;
        take(&mut ctx, "again").await;
        let minute = Duration::from_secs(60);
        tokio::time::advance(minute).await;
        take(&mut ctx, "again").await;
        locks.acquire(Resource { store: "s", id: "r" }, &options("me")).await.unwrap();
        let mut view = LockView { ctx: &mut ctx };
        lock::Host::unlock(&mut view, "s".into(), "again".into(), "me".into()).await.unwrap();
        locks.acquire(Resource { store: "s", id: "again" }, &options("me")).await.unwrap();
        ctx.release().await;
        assert_eq!(held(&locks).await, ["again", "r"]);
    }

    #[tokio::test]
    async fn an_instance_that_is_dropped_holds_nothing() {
        let locks = Locks::builder().store("s", Arc::new(MemoryStore::new())).build().unwrap();
        let mut ctx = LockCtx::new(locks.clone());
        for number in 0..600 {
            take(&mut ctx, &number.to_string()).await;
        }
        drop(ctx);
        locks.close().await;
        assert_eq!(held(&locks).await, Vec::<String>::new());
    }
}

//! The leases that a plugin instance holds.

use tokio::time::Instant;

use crate::locks::{Locks, Resource};

/// From this number on, expired leases are forgotten.
const SWEEP_FROM: usize = 256;

/// Leases by resource and owner.
#[derive(Debug, Default)]
pub(super) struct Leases {
    held: Vec<HeldLease>,
    /// How many leases the latest sweep left.
    after_sweep: usize,
}

#[derive(Debug)]
struct HeldLease {
    store: String,
    id: String,
    owner: String,
    /// When the lease has surely expired, unless it was extended; `None` beyond the range of the clock.
    until: Option<Instant>,
}

impl Leases {
    /// Notes a lease that is held until `until` at most.
    pub(super) fn begin(&mut self, resource: Resource<'_>, owner: String, until: Option<Instant>) {
        if self.held.len() >= SWEEP_FROM.max(2 * self.after_sweep) {
            let now = Instant::now();
            self.held.retain(|held| held.until.is_none_or(|until| until > now));
            self.after_sweep = self.held.len();
        }
        // A lease that is taken again has expired before.
        self.end(resource, &owner);
        let (store, id) = (resource.store.to_owned(), resource.id.to_owned());
        self.held.push(HeldLease { store, id, owner, until });
    }

    /// Notes that a lease lasts until `until` at most, or longer if it already did and must not be shortened.
    pub(super) fn prolong(
        &mut self,
        resource: Resource<'_>,
        owner: &str,
        until: Option<Instant>,
        may_shorten: bool,
    ) {
        if let Some(held) = self.held.iter_mut().find(|held| held.is(resource, owner)) {
            held.until = match (held.until, until) {
                (Some(before), Some(until)) if !may_shorten => Some(before.max(until)),
                (None, _) if !may_shorten => None,
                _ => until,
            };
        }
    }

    /// Notes that a lease is no longer held.
    pub(super) fn end(&mut self, resource: Resource<'_>, owner: &str) {
        if let Some(position) = self.held.iter().position(|held| held.is(resource, owner)) {
            self.held.swap_remove(position);
        }
    }

    /// Whether the instance holds no leases.
    pub(super) fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    /// Releases the leases that have not expired. An expired lock may have been taken again by the same owner. If the
    /// future is dropped, the remaining leases stay as they are.
    pub(super) async fn release(&mut self, locks: &Locks) {
        while let Some(HeldLease { store, id, owner, until }) = self.held.pop() {
            if until.is_none_or(|until| until > Instant::now()) {
                let resource = Resource { store: &store, id: &id };
                locks.release_in_time(resource, &owner, until).await;
            }
        }
    }
}

impl HeldLease {
    fn is(&self, Resource { store, id }: Resource<'_>, owner: &str) -> bool {
        self.owner == owner && self.id == id && self.store == store
    }
}

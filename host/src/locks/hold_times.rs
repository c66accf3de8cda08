//! Measures how long locks are held.

use std::{
    collections::HashMap,
    hash::BuildHasher,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use ::metrics::{Counter, Histogram};
use foldhash::fast::RandomState;
use tokio::time::Instant;

use crate::metrics::{LOCK_HOLD, LOCK_HOLDS_UNTRACKED, StoreLabels};

/// How many locks of one store are tracked at most. They take about 4 MiB.
const MAX_TRACKED_LOCKS: usize = 1 << 16;

/// Below this number, expired locks are not removed.
const SWEEP_FROM: usize = 1024;

/// Measures how long this process holds locks of one store. Locks that expire are not measured.
///
/// Only a hash of a lock's key and owner is kept: two locks with the same hash would share one time.
pub(crate) struct HoldTimer {
    hasher: RandomState,
    held: Mutex<HeldTimes>,
    seconds: Histogram,
    untracked: Counter,
}

#[derive(Default)]
struct HeldTimes {
    by_lock: HashMap<u64, HeldTime, RandomState>,
    /// How many locks the latest sweep left.
    after_sweep: usize,
    /// The time of the latest sweep.
    swept: Option<Instant>,
}

struct HeldTime {
    since: Instant,
    until: Instant,
}

impl HoldTimer {
    pub(super) fn new(store: &str) -> Self {
        Self {
            hasher: RandomState::default(),
            held: Mutex::default(),
            seconds: LOCK_HOLD.with(StoreLabels { store }),
            untracked: LOCK_HOLDS_UNTRACKED.with(StoreLabels { store }),
        }
    }

    /// Begins to measure a lock that was taken.
    pub(super) fn begin(&self, key: &str, owner: &str, since: Instant, ttl: Duration) {
        // Such a lock ends beyond the range of the clock.
        let Some(until) = since.checked_add(ttl) else { return self.untracked.increment(1) };
        let lock = self.hasher.hash_one((key, owner));
        let mut held = self.lock();
        held.make_room(since);
        if held.by_lock.len() < MAX_TRACKED_LOCKS {
            held.by_lock.insert(lock, HeldTime { since, until });
        } else {
            drop(held);
            self.untracked.increment(1);
        }
    }

    /// Notes that a lock lasts at least until `until`.
    pub(super) fn prolong(&self, key: &str, owner: &str, until: Option<Instant>) {
        let lock = self.hasher.hash_one((key, owner));
        if let (Some(hold), Some(until)) = (self.lock().by_lock.get_mut(&lock), until) {
            hold.until = until;
        }
    }

    /// Records how long a lock was held. The lock is free now.
    pub(super) fn end(&self, key: &str, owner: &str, now: Instant) {
        let lock = self.hasher.hash_one((key, owner));
        let hold = self.lock().by_lock.remove(&lock);
        if let Some(hold) = hold
            && now <= hold.until
        {
            self.seconds.record(now.duration_since(hold.since));
        }
    }

    /// Whether any lock is still held.
    pub(super) fn any_held(&self) -> bool {
        let now = Instant::now();
        self.lock().by_lock.values().any(|hold| hold.until > now)
    }

    fn lock(&self) -> MutexGuard<'_, HeldTimes> {
        // Every change to the map is a single call: a panic elsewhere cannot leave it half done.
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl HeldTimes {
    /// Removes expired locks whenever the number of locks has doubled, and once a second while the map is full, so
    /// that the cost for a single call stays small.
    fn make_room(&mut self, now: Instant) {
        const INTERVAL: Duration = Duration::from_secs(1);
        let doubled = self.by_lock.len() >= SWEEP_FROM.max(self.after_sweep * 2);
        let full = self.by_lock.len() >= MAX_TRACKED_LOCKS;
        let due = self.swept.is_none_or(|swept| now.duration_since(swept) >= INTERVAL);
        if doubled || full && due {
            self.by_lock.retain(|_, hold| hold.until > now);
            self.after_sweep = self.by_lock.len();
            self.swept = Some(now);
        }
    }
}

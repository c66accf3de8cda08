//! How long locks are held.

use std::{
    collections::HashMap,
    hash::{BuildHasher, RandomState},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use metrics::{Counter, Histogram};
use tokio::time::Instant;

use super::definitions::{LOCK_HOLD, LOCK_HOLDS_UNTRACKED};

/// So many locks of a store are followed at most, in about 4 MiB.
const MOST: usize = 1 << 16;

/// So many are few enough to leave those that ran out among them.
const FEW: usize = 1024;

/// The locks that this process took in one store and has not freed. Each is forgotten once it has run
/// out. What is kept of a lock is a hash: of two that had the same, one would have the other's time.
pub(super) struct Holds {
    hasher: RandomState,
    held: Mutex<Held>,
    seconds: Histogram,
    untracked: Counter,
}

#[derive(Default)]
struct Held {
    by_lock: HashMap<u64, Hold>,
    /// How many there were when those that ran out were last swept away, and when that was.
    after_sweep: usize,
    swept: Option<Instant>,
}

struct Hold {
    since: Instant,
    until: Instant,
}

impl Holds {
    pub(super) fn new(store: &str) -> Self {
        Self {
            hasher: RandomState::new(),
            held: Mutex::default(),
            seconds: LOCK_HOLD.histogram(&[store]),
            untracked: LOCK_HOLDS_UNTRACKED.counter(&[store]),
        }
    }

    pub(super) fn begin(&self, key: &str, owner: &str, since: Instant, ttl: Duration) {
        // What the clock cannot say will not run out.
        let Some(until) = since.checked_add(ttl) else { return self.untracked.increment(1) };
        let lock = self.hasher.hash_one((key, owner));
        let mut held = self.lock();
        held.make_room(since);
        if held.by_lock.len() < MOST {
            held.by_lock.insert(lock, Hold { since, until });
        } else {
            drop(held);
            self.untracked.increment(1);
        }
    }

    pub(super) fn end(&self, key: &str, owner: &str, now: Instant) {
        let lock = self.hasher.hash_one((key, owner));
        let hold = self.lock().by_lock.remove(&lock);
        if let Some(hold) = hold
            && now <= hold.until
        {
            self.seconds.record(now.duration_since(hold.since));
        }
    }

    fn lock(&self) -> MutexGuard<'_, Held> {
        // Every change to the map is a single call: a panic elsewhere cannot leave it half done.
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Held {
    /// Forgets locks that ran out, each time their number has doubled, and when there is no room at all
    /// once a second: a cost that no single call notices.
    fn make_room(&mut self, now: Instant) {
        const AGAIN: Duration = Duration::from_secs(1);
        let many = self.by_lock.len() >= FEW.max(self.after_sweep * 2);
        let full = self.by_lock.len() >= MOST;
        let due = self.swept.is_none_or(|swept| now.duration_since(swept) >= AGAIN);
        if many || full && due {
            self.by_lock.retain(|_, hold| hold.until > now);
            self.after_sweep = self.by_lock.len();
            self.swept = Some(now);
        }
    }
}

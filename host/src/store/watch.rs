//! Watching keys: notifies waiters and holders when a lock changes.

use std::{collections::HashMap, fmt};

use futures_util::{FutureExt, future::BoxFuture};
use tokio::sync::oneshot;

use crate::types::Holding;

/// A key that is watched.
pub struct Watched {
    /// Who held the lock when the watch began; `None` if the lock was free. A store need not give the fencing token.
    pub holding: Option<Holding>,
    /// Ends when any program has set, changed or deleted the key or, in some stores, when the key has expired. It may
    /// end spuriously, and ends when the store can no longer watch. Drop it to end the watch.
    pub changed: BoxFuture<'static, ()>,
}

impl fmt::Debug for Watched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watched").field("holding", &self.holding).finish_non_exhaustive()
    }
}

/// The watchers of each key. Dropping this notifies all of them.
#[derive(Debug, Default)]
pub(super) struct Watchers {
    by_key: HashMap<String, Vec<oneshot::Sender<()>>>,
    /// How many keys were left after the last sweep.
    after_sweep: usize,
}

impl Watchers {
    /// Begins to watch a key: the future ends with its next [change](Self::changed).
    pub(super) fn add(&mut self, key: &str) -> BoxFuture<'static, ()> {
        const SWEEP_FROM: usize = 64;
        if self.by_key.len() >= SWEEP_FROM.max(self.after_sweep * 2) {
            self.sweep();
        }
        let (watcher, changed) = oneshot::channel();
        let watchers = self.by_key.entry(key.to_owned()).or_default();
        watchers.retain(|watcher| !watcher.is_closed());
        watchers.push(watcher);
        // A sender that is dropped means that nothing more can be reported.
        changed.map(drop).boxed()
    }

    /// Notifies the watchers of a key.
    pub(super) fn changed(&mut self, key: &str) {
        for watcher in self.by_key.remove(key).unwrap_or_default() {
            // A watcher that has left needs no notification.
            let _ = watcher.send(());
        }
    }

    /// Forgets the watchers that have left. Returns whether none remain.
    pub(super) fn sweep(&mut self) -> bool {
        self.by_key.retain(|_, watchers| {
            watchers.retain(|watcher| !watcher.is_closed());
            !watchers.is_empty()
        });
        self.after_sweep = self.by_key.len();
        self.by_key.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_watcher_of_a_key_is_woken_once() {
        let mut watchers = Watchers::default();
        let [one, two, other] = ["k", "k", "other"].map(|key| watchers.add(key));
        watchers.changed("k");
        assert_eq!((one.now_or_never(), two.now_or_never()), (Some(()), Some(())));
        let mut later = watchers.add("k");
        assert_eq!((&mut later).now_or_never(), None);
        assert_eq!(other.now_or_never(), None);
    }

    #[test]
    fn callers_that_have_left_are_forgotten() {
        let mut watchers = Watchers::default();
        let stays = watchers.add("stays");
        for number in 0..10_000 {
            drop(watchers.add(&number.to_string()));
            drop(watchers.add("same"));
        }
        assert!(watchers.by_key.len() < 200, "{}", watchers.by_key.len());
        assert!(watchers.by_key.values().all(|watchers| watchers.len() < 3));
        assert!(!watchers.sweep());
        drop(stays);
        assert!(watchers.sweep());
    }
}

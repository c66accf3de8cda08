//! Acquires whose callers have left, until their replies come.

use std::{
    collections::HashMap,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
};

type Lock = (String, String);

/// Remembers which late grants to give back.
///
/// The value of a lock is its owner's name, which is the same for every hold of that owner. So once
/// the owner has released the lock, a late grant must be left alone: giving it back could delete a
/// newer hold.
#[derive(Default)]
pub(super) struct Abandoned {
    tickets: Mutex<HashMap<Lock, Vec<u64>>>,
    /// The length of `tickets`. Lets [`forget`](Self::forget) skip the mutex while it is 0.
    waiting: AtomicUsize,
    next: AtomicU64,
}

impl Abandoned {
    /// Adds an acquire of `key` by `owner` and returns its ticket.
    pub(super) fn add(&self, key: &str, owner: &str) -> u64 {
        let ticket = self.next.fetch_add(1, Ordering::Relaxed);
        let mut tickets = self.tickets();
        tickets.entry((key.to_owned(), owner.to_owned())).or_default().push(ticket);
        self.waiting.store(tickets.len(), Ordering::Release);
        ticket
    }

    /// Removes a ticket. Returns whether its grant is to be given back.
    pub(super) fn take(&self, key: &str, owner: &str, ticket: u64) -> bool {
        let lock = (key.to_owned(), owner.to_owned());
        let mut tickets = self.tickets();
        let Some(same) = tickets.get_mut(&lock) else {
            return false;
        };
        let before = same.len();
        same.retain(|other| *other != ticket);
        let found = same.len() < before;
        if same.is_empty() {
            tickets.remove(&lock);
        }
        self.waiting.store(tickets.len(), Ordering::Release);
        found
    }

    /// Removes all tickets of a lock that its owner has released, or may have released.
    pub(super) fn forget(&self, key: &str, owner: &str) {
        if self.waiting.load(Ordering::Acquire) == 0 {
            return;
        }
        let mut tickets = self.tickets();
        tickets.remove(&(key.to_owned(), owner.to_owned()));
        self.waiting.store(tickets.len(), Ordering::Release);
    }

    fn tickets(&self) -> MutexGuard<'_, HashMap<Lock, Vec<u64>>> {
        self.tickets.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ticket_is_good_once() {
        let abandoned = Abandoned::default();
        let (first, second) = (abandoned.add("k", "o"), abandoned.add("k", "o"));
        assert!(abandoned.take("k", "o", first));
        assert!(!abandoned.take("k", "o", first));
        assert!(abandoned.take("k", "o", second));
        assert_eq!(abandoned.waiting.into_inner(), 0);
    }

    #[test]
    fn what_was_released_is_not_given_back() {
        let abandoned = Abandoned::default();
        let (released, other) = (abandoned.add("k", "o"), abandoned.add("k", "p"));
        abandoned.forget("k", "o");
        assert!(!abandoned.take("k", "o", released));
        assert!(abandoned.take("k", "p", other));
    }
}

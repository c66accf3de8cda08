//! Acquires that nobody waits for any more, until their replies come.

use std::{
    collections::HashMap,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
};

type Lock = (String, String);

/// Remembers which late grants are still to be given back.
///
/// A lock carries its owner's name and nothing that tells one hold from the next. So once the
/// owner has released the lock, a late grant must be left alone: giving it back could delete a
/// newer hold of the same owner.
#[derive(Default)]
pub(super) struct Abandoned {
    tickets: Mutex<HashMap<Lock, Vec<u64>>>,
    /// Lets [`forget`](Self::forget) pass without the lock while there is nothing to forget.
    waiting: AtomicUsize,
    next: AtomicU64,
}

impl Abandoned {
    /// Notes an acquire of `key` by `owner`; the ticket stands for it.
    pub(super) fn add(&self, key: &str, owner: &str) -> u64 {
        let ticket = self.next.fetch_add(1, Ordering::Relaxed);
        let mut tickets = self.tickets();
        tickets.entry((key.to_owned(), owner.to_owned())).or_default().push(ticket);
        self.waiting.store(tickets.len(), Ordering::Release);
        ticket
    }

    /// Whether the grant that `ticket` stands for is still to be given back; asked once.
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

    /// The owner's hold of `key` has ended, or may have: what comes late is left alone.
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

//! The state of the watched locks, and their latest changes.

use std::{
    collections::{BTreeMap, VecDeque},
    time::{Duration, Instant},
};

use holdfast::HeldLock;

use crate::lasting::watch::{Event, Report};

/// The number of changes that are kept.
const REMEMBERED: usize = 200;

/// The state of all stores.
#[derive(Default)]
pub struct View {
    stores: BTreeMap<String, Known>,
    history: VecDeque<Change>,
}

/// The state of a store.
#[derive(Default)]
struct Known {
    locks: BTreeMap<String, Held>,
    waiting: BTreeMap<String, usize>,
    /// Whether all locks that were held at the beginning have been reported.
    synced: bool,
    problem: Option<String>,
}

struct Held {
    owner: String,
    /// When the lock expires, if it ever does.
    end: Option<Instant>,
    /// How long it lasts from when it was taken or extended, as far as that is known.
    whole: Duration,
}

/// A lock as it is shown.
#[derive(Debug, PartialEq)]
pub struct Row<'a> {
    pub store: &'a str,
    pub resource_id: &'a str,
    pub owner: &'a str,
    /// The remaining time of the lock, and its share of the whole time; `None`: for ever.
    pub left: Option<(Duration, f64)>,
    /// How many calls of a server wait for it.
    pub waiting: usize,
}

/// A lock that came or went.
pub struct Change {
    pub at: Instant,
    pub taken: bool,
    pub store: String,
    pub lock: HeldLock,
}

impl View {
    /// Applies a report about a store.
    pub fn take(&mut self, store: &str, report: Report<String>, now: Instant) {
        let known = self.stores.entry(store.to_owned()).or_default();
        let mut change = None;
        match report {
            Report::Began => {
                let problem = known.problem.take();
                *known = Known { problem, ..Known::default() };
            }
            Report::Failed(problem) => known.problem = Some(problem),
            Report::Event(Event::Synced) => {
                known.synced = true;
                known.problem = None;
            }
            Report::Event(Event::Taken(lock)) => {
                known.hold(&lock, now);
                change = known.synced.then_some((true, lock));
            }
            Report::Event(Event::Extended(lock)) => known.hold(&lock, now),
            Report::Event(Event::Freed(lock)) => {
                known.locks.remove(&lock.resource_id);
                change = Some((false, lock));
            }
            Report::Event(Event::Waiting { resource_id, calls: 0 }) => {
                known.waiting.remove(&resource_id);
            }
            Report::Event(Event::Waiting { resource_id, calls }) => {
                known.waiting.insert(resource_id, calls);
            }
        }
        if let Some((taken, lock)) = change {
            self.history.push_front(Change { at: now, taken, store: store.to_owned(), lock });
            self.history.truncate(REMEMBERED);
        }
    }

    /// The locks that are held, by store and resource id.
    pub fn rows<'a>(&'a self, now: Instant) -> Vec<Row<'a>> {
        let of_store = |(store, known): (&'a String, &'a Known)| {
            known.locks.iter().map(move |(id, held)| Row {
                store,
                resource_id: id,
                owner: &held.owner,
                left: held.end.map(|end| {
                    let left = end.saturating_duration_since(now);
                    let part = left.as_secs_f64() / held.whole.as_secs_f64().max(f64::MIN_POSITIVE);
                    (left, part.clamp(0.0, 1.0))
                }),
                waiting: known.waiting.get(id).copied().unwrap_or_default(),
            })
        };
        self.stores.iter().flat_map(of_store).collect()
    }

    /// The stores that cannot be looked at, and why.
    pub fn problems<'a>(&'a self) -> impl Iterator<Item = (&'a str, &'a str)> {
        let problem = |(store, known): (&'a String, &'a Known)| {
            Some((store.as_str(), known.problem.as_deref()?))
        };
        self.stores.iter().filter_map(problem)
    }

    /// The changes, the latest first.
    pub fn history(&self) -> impl Iterator<Item = &Change> {
        self.history.iter()
    }
}

impl Known {
    fn hold(&mut self, lock: &HeldLock, now: Instant) {
        let whole = Duration::from_millis(lock.time_left.unwrap_or_default());
        let end = lock.time_left.and_then(|_| now.checked_add(whole));
        let held = Held { owner: lock.owner.clone(), end, whole };
        self.locks.insert(lock.resource_id.clone(), held);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lock(id: &str, owner: &str, time_left: Option<u64>) -> HeldLock {
        HeldLock { resource_id: id.to_owned(), owner: owner.to_owned(), time_left }
    }

    #[test]
    fn locks_come_run_down_are_extended_and_go() {
        let (mut view, begin) = (View::default(), Instant::now());
        let after = |seconds| begin + Duration::from_secs(seconds);
        let mut take = |event, now| view.take("s", Report::Event(event), now);
        take(Event::Taken(lock("b", "me", Some(10_000))), begin);
        take(Event::Taken(lock("a", "you", None)), begin);
        take(Event::Synced, begin);
        take(Event::Waiting { resource_id: "b".to_owned(), calls: 2 }, begin);
        let a = Row { store: "s", resource_id: "a", owner: "you", left: None, waiting: 0 };
        let left = Some((Duration::from_secs(4), 0.4));
        let b = Row { store: "s", resource_id: "b", owner: "me", left, waiting: 2 };
        assert_eq!(view.rows(after(6)), [a, b]);
        assert_eq!(view.history().count(), 0, "what was held before did not come");

        view.take("s", Report::Event(Event::Extended(lock("b", "me", Some(20_000)))), after(6));
        assert_eq!(view.rows(after(6))[1].left, Some((Duration::from_secs(20), 1.0)));
        assert_eq!(view.rows(after(60))[1].left, Some((Duration::ZERO, 0.0)));
        view.take("s", Report::Event(Event::Freed(lock("b", "me", None))), after(7));
        view.take("s", Report::Event(Event::Taken(lock("b", "new", Some(1)))), after(8));
        let changes: Vec<_> = view.history().map(|one| (one.taken, &*one.lock.owner)).collect();
        assert_eq!(changes, [(true, "new"), (false, "me")]);
    }

    #[test]
    fn a_failed_store_is_shown_until_it_answers_again() {
        let (mut view, now) = (View::default(), Instant::now());
        view.take("s", Report::Event(Event::Taken(lock("a", "me", None))), now);
        view.take("s", Report::Failed("why".to_owned()), now);
        assert_eq!(view.problems().collect::<Vec<_>>(), [("s", "why")]);
        assert_eq!(view.rows(now).len(), 1);
        view.take("s", Report::Began, now);
        assert_eq!(view.problems().count(), 1);
        assert_eq!(view.rows(now), []);
        view.take("s", Report::Event(Event::Synced), now);
        assert_eq!(view.problems().count(), 0);
    }
}

//! The locks that are taken, extended and freed, and how many calls wait for each, by repeated reads.

use std::{collections::HashMap, time::Duration};

use futures_util::{
    Stream, StreamExt,
    future::Either,
    stream::{self, BoxStream},
};
use holdfast::{Error, HeldLock, Locks};
use tokio::time::{Instant, sleep};

/// The shortest and the longest pause between two reads of the locks.
const MIN_PAUSE: Duration = Duration::from_secs(1);
const MAX_PAUSE: Duration = Duration::from_secs(10);

/// How many times as long as the read before it a pause is, unless that is outside its bounds.
const PAUSE_PER_READ: u32 = 10;

/// The most locks that are watched.
const MAX_LOCKS: usize = 10_000;

/// How many locks are asked for at a time.
const PAGE_SIZE: u32 = 1_000;

/// The smallest change of the end of a hold that is reported.
const MIN_REPORTED_CHANGE: Duration = Duration::from_millis(500);

/// How long to wait before a store that failed is watched again.
const RETRY_PAUSE: Duration = Duration::from_secs(2);

/// An item of a watch that restarts after failures.
#[derive(Debug)]
pub(crate) enum Report<E = WatchError> {
    /// The watch begins: earlier reports are void.
    Began,
    Event(Event),
    /// The locks cannot be looked at.
    Failed(E),
}

/// A report of a watch.
#[derive(Debug)]
pub(crate) enum Event {
    Taken(HeldLock),
    /// The same owner holds the lock for longer, or shorter, than it did before.
    Extended(HeldLock),
    Freed(HeldLock),
    /// This many calls of this process wait for a lock.
    Waiting {
        resource_id: String,
        calls: usize,
    },
    /// Everything that existed at the beginning has been reported.
    Synced,
}

/// Why a watch ends.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WatchError {
    #[error(transparent)]
    Lock(#[from] Error),
    #[error("more than {MAX_LOCKS} locks are held: watch fewer, by a prefix")]
    TooMany,
}

/// A snapshot of the locks and of the calls that wait for them.
#[derive(Default)]
struct View {
    held: HashMap<String, SeenLock>,
    waiting: HashMap<String, usize>,
}

struct SeenLock {
    lock: HeldLock,
    /// When it expires, if it ever does.
    end: Option<End>,
}

/// Bounds on when a lock expires: it is unknown how long the answer of the store was on its way.
#[derive(Clone, Copy)]
struct End {
    earliest: Instant,
    latest: Instant,
}

/// Watches the locks of a store whose resource ids begin with `prefix`.
///
/// # Errors
///
/// If the first read of the locks fails. Later errors are items, the last of the stream.
pub(crate) async fn watch(
    locks: Locks,
    store: String,
    prefix: String,
) -> Result<impl Stream<Item = Result<Event, WatchError>> + Send, WatchError> {
    let begun = Instant::now();
    let mut first = View::look(&locks, &store, &prefix).await?;
    let mut events = changes(&View::default(), &mut first);
    events.push(Event::Synced);
    let state = Some((first, begun.elapsed()));
    let later = stream::unfold(state, move |state| {
        let (locks, store, prefix) = (locks.clone(), store.clone(), prefix.clone());
        async move {
            let (before, took) = state?;
            sleep(pause_after(took)).await;
            let begun = Instant::now();
            match View::look(&locks, &store, &prefix).await {
                Ok(mut now) => {
                    let events = changes(&before, &mut now).into_iter().map(Ok).collect();
                    Some((events, Some((now, begun.elapsed()))))
                }
                Err(error) => Some((vec![Err(error)], None)),
            }
        }
    });
    Ok(stream::iter(events).map(Ok).chain(later.flat_map(stream::iter)))
}

/// Watches the locks of a store whose resource ids begin with `prefix`, and restarts after each failure.
pub(crate) fn watch_again(
    locks: Locks,
    store: String,
    prefix: String,
) -> BoxStream<'static, Report> {
    let watches = stream::unfold(Duration::ZERO, move |wait| {
        let (locks, store, prefix) = (locks.clone(), store.clone(), prefix.clone());
        async move {
            sleep(wait).await;
            let events = async move {
                match watch(locks, store, prefix).await {
                    Ok(events) => Either::Left(events),
                    Err(error) => Either::Right(stream::iter([Err(error)])),
                }
            };
            let events = stream::once(events).flatten();
            let reports = events.map(|event| event.map_or_else(Report::Failed, Report::Event));
            Some((stream::iter([Report::Began]).chain(reports), RETRY_PAUSE))
        }
    });
    watches.flatten().boxed()
}

impl View {
    async fn look(locks: &Locks, store: &str, prefix: &str) -> Result<Self, WatchError> {
        let (mut held, mut cursor) = (HashMap::new(), None);
        loop {
            let asked = Instant::now();
            let page = locks.list(store, prefix, cursor.as_deref(), PAGE_SIZE).await?;
            let answered = Instant::now();
            held.extend(page.locks.into_iter().map(|lock| {
                let left = lock.time_left.map(Duration::from_millis);
                let end = left.and_then(|left| End::between(asked, answered, left));
                (lock.resource_id.clone(), SeenLock { lock, end })
            }));
            if held.len() > MAX_LOCKS {
                return Err(WatchError::TooMany);
            }
            cursor = page.next;
            if cursor.is_none() {
                let waiting = locks.waiting(store, prefix)?.into_iter().collect();
                return Ok(Self { held, waiting });
            }
        }
    }
}

impl End {
    /// When a lock ends that had `left` at a moment between `asked` and `answered`.
    fn between(asked: Instant, answered: Instant, left: Duration) -> Option<Self> {
        Some(Self { earliest: asked.checked_add(left)?, latest: answered.checked_add(left)? })
    }
}

/// How long to wait after a look that took this long.
fn pause_after(took: Duration) -> Duration {
    (took * PAUSE_PER_READ).clamp(MIN_PAUSE, MAX_PAUSE)
}

/// The changes between two snapshots: freed locks come before taken ones. An end that moved too little to be reported
/// stays as it was before, so that small changes add up.
fn changes(before: &View, now: &mut View) -> Vec<Event> {
    let freed = before.held.iter().filter(|(id, _)| !now.held.contains_key(*id));
    let mut events: Vec<Event> = freed.map(|(_, hold)| Event::Freed(hold.lock.clone())).collect();
    for (id, hold) in &mut now.held {
        match before.held.get(id) {
            Some(known) if known.lock.owner == hold.lock.owner => {
                if is_moved(known.end, hold.end) {
                    events.push(Event::Extended(hold.lock.clone()));
                } else {
                    hold.end = known.end;
                }
            }
            _ => events.push(Event::Taken(hold.lock.clone())),
        }
    }
    let gone = before.waiting.keys().filter(|id| !now.waiting.contains_key(*id));
    let gone = gone.map(|id| (id, 0));
    let counts = now.waiting.iter().map(|(id, calls)| (id, *calls));
    let new = counts.filter(|(id, calls)| before.waiting.get(*id) != Some(calls));
    events.extend(
        gone.chain(new).map(|(id, calls)| Event::Waiting { resource_id: id.clone(), calls }),
    );
    events
}

/// Whether the end of a hold has moved so far that it is reported.
fn is_moved(before: Option<End>, now: Option<End>) -> bool {
    match (before, now) {
        (Some(before), Some(now)) => {
            now.earliest > before.latest + MIN_REPORTED_CHANGE
                || now.latest + MIN_REPORTED_CHANGE < before.earliest
        }
        (before, now) => before.is_some() != now.is_some(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view(held: &[(&str, &str, u64)], waiting: &[(&str, usize)]) -> View {
        let begin = Instant::now();
        let hold = |(id, owner, left): &(&str, &str, u64)| SeenLock {
            lock: HeldLock {
                resource_id: (*id).to_owned(),
                owner: (*owner).to_owned(),
                time_left: Some(*left),
            },
            end: End::between(begin, begin, Duration::from_millis(*left)),
        };
        let held = held.iter().map(hold).map(|hold| (hold.lock.resource_id.clone(), hold));
        let waiting = waiting.iter().map(|(id, calls)| ((*id).to_owned(), *calls));
        View { held: held.collect(), waiting: waiting.collect() }
    }

    #[tokio::test(start_paused = true)]
    async fn small_extensions_add_up_and_a_slow_answer_is_none() {
        let begin = Instant::now();
        let second = Duration::from_secs(1);
        let left = |milliseconds| Duration::from_millis(milliseconds);
        let hold = |end| {
            let lock = HeldLock { resource_id: "r".into(), owner: "me".into(), time_left: None };
            View {
                held: [("r".to_owned(), SeenLock { lock, end })].into(),
                waiting: HashMap::new(),
            }
        };
        let mut before = hold(End::between(begin, begin, left(6_000)));
        for (asked, took, left_then, extended) in [
            (1, 0, 5_400, false),
            (2, 0, 4_800, true),
            (3, 0, 3_800, false),
            // Nobody extended it: the answer was sent two seconds before it came.
            (4, 2, 2_800, false),
            (7, 0, 0, false),
        ] {
            let asked = begin + second * asked;
            let mut now = hold(End::between(asked, asked + second * took, left(left_then)));
            assert_eq!(changes(&before, &mut now).len(), usize::from(extended), "{left_then}");
            before = now;
        }
    }

    #[test]
    fn a_slow_look_is_followed_by_a_pause_that_ends() {
        for (took, seconds) in [(0, 1), (90, 1), (500, 5), (3_000, 10)] {
            let pause = pause_after(Duration::from_millis(took));
            assert_eq!(pause, Duration::from_secs(seconds), "{took}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn takes_extensions_releases_handovers_and_waits_are_reported() {
        let held = [("stays", "a", 900), ("longer", "a", 900), ("goes", "b", 900)];
        let before = view(&[&held[..], &[("changes", "c", 900)]].concat(), &[("x", 2), ("y", 1)]);
        let held = [("stays", "a", 700), ("longer", "a", 1_900), ("comes", "d", 900)];
        let waiting = [("x", 3), ("z", 1)];
        let mut now = view(&[&held[..], &[("changes", "e", 900)]].concat(), &waiting);
        let mut reported: Vec<_> = changes(&before, &mut now)
            .into_iter()
            .map(|event| match event {
                Event::Taken(lock) => format!("+{} {}", lock.resource_id, lock.owner),
                Event::Extended(lock) => format!("={} {}", lock.resource_id, lock.owner),
                Event::Freed(lock) => format!("-{} {}", lock.resource_id, lock.owner),
                Event::Waiting { resource_id, calls } => format!("{resource_id} {calls}"),
                Event::Synced => String::new(),
            })
            .collect();
        assert_eq!(reported[0], "-goes b");
        reported.sort();
        assert_eq!(
            reported,
            ["+changes e", "+comes d", "-goes b", "=longer a", "x 3", "y 0", "z 1"]
        );
    }
}

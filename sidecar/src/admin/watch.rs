//! Who takes and frees which lock, by looking again and again.

use std::{collections::HashMap, sync::Arc, time::Duration};

use futures_util::{Stream, StreamExt, stream};
use holdfast::{Error, HeldLock};
use tokio::{
    sync::Semaphore,
    time::{Instant, sleep},
};

use crate::sidecar::Sidecar;

/// How often the locks are looked at, at most: a look takes no more than a tenth of the time.
const INTERVAL: Duration = Duration::from_secs(1);
const SHARE: u32 = 10;

/// How many watches there may be at a time.
pub(super) const WATCHES: usize = 16;

/// The most locks that are watched.
const MOST: usize = 10_000;

/// How many locks are asked for at a time.
const PAGE: u32 = 1_000;

/// What a watcher is told.
#[derive(Debug)]
pub(super) enum Event {
    Taken(HeldLock),
    Freed(HeldLock),
    /// All locks that were held at the beginning have been told.
    Synced,
}

/// Why a watch ends.
#[derive(Debug, thiserror::Error)]
pub(super) enum WatchError {
    #[error(transparent)]
    Lock(#[from] Error),
    #[error("more than {MOST} locks are held: watch fewer, by a prefix")]
    TooMany,
    #[error("too many calls: {WATCHES} watch the locks")]
    TooManyWatches,
}

/// Watches the locks whose resource ids begin with `prefix`.
///
/// # Errors
///
/// If the locks cannot be looked at in the beginning. Later errors are items, the last of the stream.
pub(super) async fn watch(
    sidecar: Sidecar,
    room: Arc<Semaphore>,
    store: String,
    prefix: String,
) -> Result<impl Stream<Item = Result<Event, WatchError>> + Send, WatchError> {
    let room = room.try_acquire_owned().map_err(|_| WatchError::TooManyWatches)?;
    let begun = Instant::now();
    let held = look(&sidecar, &store, &prefix).await?;
    let first: Vec<Event> =
        held.values().cloned().map(Event::Taken).chain([Event::Synced]).collect();
    let state = Some((held, begun.elapsed(), room));
    let ending = sidecar.ending().clone();
    let later = stream::unfold(state, move |state| {
        let (sidecar, store, prefix) = (sidecar.clone(), store.clone(), prefix.clone());
        async move {
            let (before, took, room) = state?;
            sleep(INTERVAL.max(took * SHARE)).await;
            let begun = Instant::now();
            match look(&sidecar, &store, &prefix).await {
                Ok(now) => {
                    let events = changes(&before, &now).into_iter().map(Ok).collect();
                    Some((events, Some((now, begun.elapsed(), room))))
                }
                Err(error) => Some((vec![Err(error)], None)),
            }
        }
    });
    let later = later.take_until(ending.cancelled_owned()).flat_map(stream::iter);
    Ok(stream::iter(first).map(Ok).chain(later))
}

async fn look(
    sidecar: &Sidecar,
    store: &str,
    prefix: &str,
) -> Result<HashMap<String, HeldLock>, WatchError> {
    let (mut held, mut cursor) = (HashMap::new(), None);
    loop {
        let page = sidecar.locks().list(store, prefix, cursor.as_deref(), PAGE).await?;
        held.extend(page.locks.into_iter().map(|lock| (lock.resource_id.clone(), lock)));
        if held.len() > MOST {
            return Err(WatchError::TooMany);
        }
        cursor = page.next;
        if cursor.is_none() {
            return Ok(held);
        }
    }
}

fn changes(before: &HashMap<String, HeldLock>, now: &HashMap<String, HeldLock>) -> Vec<Event> {
    let freed = before.values().filter(|lock| !now.contains_key(&lock.resource_id));
    let is_new = |lock: &&HeldLock| {
        before.get(&lock.resource_id).is_none_or(|known| known.owner != lock.owner)
    };
    let taken = now.values().filter(is_new);
    freed.cloned().map(Event::Freed).chain(taken.cloned().map(Event::Taken)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held(locks: &[(&str, &str)]) -> HashMap<String, HeldLock> {
        let lock = |(id, owner): &(&str, &str)| HeldLock {
            resource_id: (*id).to_owned(),
            owner: (*owner).to_owned(),
            time_left: None,
        };
        locks.iter().map(lock).map(|lock| (lock.resource_id.clone(), lock)).collect()
    }

    #[test]
    fn what_is_taken_freed_and_handed_over_is_told() {
        let before = held(&[("stays", "a"), ("goes", "b"), ("changes", "c")]);
        let now = held(&[("stays", "a"), ("comes", "d"), ("changes", "e")]);
        let mut told: Vec<_> = changes(&before, &now)
            .into_iter()
            .map(|event| match event {
                Event::Taken(lock) => format!("+{} {}", lock.resource_id, lock.owner),
                Event::Freed(lock) => format!("-{} {}", lock.resource_id, lock.owner),
                Event::Synced => String::new(),
            })
            .collect();
        told.sort();
        assert_eq!(told, ["+changes e", "+comes d", "-goes b"]);
    }
}

//! Waiting for locks. The callers of this process that wait for the same lock stand in line. Only the first tries to
//! take the lock, when the store notifies it that the lock may be free. If the store cannot notify, the first polls.

use std::{
    collections::HashMap,
    future::pending,
    mem,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use ::metrics::{Gauge, Histogram};
use futures_util::FutureExt;
use holdfast_timing::pauses::Pauses;
use tokio::{
    sync::{self, Notify},
    time::{Instant, sleep, sleep_until},
};
use tokio_util::sync::CancellationToken;

use super::pace::Pace;
use crate::{
    metrics::{LOCK_HANDOVER, LOCK_WAIT, LOCK_WAITERS, StoreLabels, WaitLabels},
    store::{Store, Watched},
};

/// The lines of one store, by key, each with the number of callers in it.
pub(super) struct Waits {
    lines: Mutex<HashMap<String, (Arc<Line>, usize)>>,
    /// How many callers wait, for any lock.
    waiters: AtomicUsize,
    /// Cancelled when all waits end.
    ending: CancellationToken,
    waiters_gauge: Gauge,
    handover_seconds: Histogram,
    acquired_seconds: Histogram,
    gave_up_seconds: Histogram,
}

#[derive(Default)]
struct Line {
    /// The first in line holds this mutex, which is fair.
    first: sync::Mutex<()>,
    /// Notifies the first in line that the lock is free.
    freed: Notify,
    /// Whether the store notified the first in line of each change when it last waited.
    watched: AtomicBool,
}

/// A caller's place in a line. Drop it to leave.
pub(super) struct PlaceInLine<'a> {
    waits: &'a Waits,
    key: &'a str,
    line: Arc<Line>,
    since: Instant,
    deadline: Option<Instant>,
    acquired: AtomicBool,
}

/// The first place in a line.
pub(super) struct First<'a> {
    place: &'a PlaceInLine<'a>,
    /// Whether other callers were ahead in the line. If so, the lock is held, as far as this process knows.
    queued: bool,
    /// Whether the store's latest report said that the lock is free.
    said_free: bool,
    /// The holder of the lock in the store's latest report.
    holder: Option<String>,
    pauses: Pauses,
    /// Slows down repeated notifications: a holder that renews the lock causes them too.
    pace: Pace,
    /// When the caller learned that the lock may be free.
    notified_at: Option<Instant>,
    _turn: sync::MutexGuard<'a, ()>,
}

/// What the first in line does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NextMove {
    /// Tries to take the lock.
    Try,
    /// Tries for the last time: the wait is over, and the lock may be free.
    LastTry,
    /// Gives up: the wait is over, and the store has not reported that the lock is free.
    Leave,
}

impl Waits {
    pub(super) fn new(store: &str) -> Self {
        let seconds = |outcome| LOCK_WAIT.with(WaitLabels { store, outcome });
        Self {
            lines: Mutex::default(),
            waiters: AtomicUsize::new(0),
            ending: CancellationToken::new(),
            waiters_gauge: LOCK_WAITERS.with(StoreLabels { store }),
            handover_seconds: LOCK_HANDOVER.with(StoreLabels { store }),
            acquired_seconds: seconds("acquired"),
            gave_up_seconds: seconds("gave_up"),
        }
    }

    /// Joins the line for a key. The wait ends after `limit`; it never ends if the clock cannot hold that time.
    pub(super) fn join<'a>(&'a self, key: &'a str, limit: Duration) -> PlaceInLine<'a> {
        self.waiters.fetch_add(1, Ordering::AcqRel);
        self.waiters_gauge.increment(1);
        let line = {
            let mut lines = self.lock();
            let (line, places) = lines.entry(key.to_owned()).or_default();
            *places += 1;
            line.clone()
        };
        let since = Instant::now();
        let deadline = since.checked_add(limit);
        PlaceInLine { waits: self, key, line, since, deadline, acquired: AtomicBool::new(false) }
    }

    /// Ends all waits, current and future.
    pub(super) fn end(&self) {
        self.ending.cancel();
    }

    /// Notifies the first in line that the lock is free.
    pub(super) fn freed(&self, key: &str) {
        if self.waiters.load(Ordering::Acquire) > 0
            && let Some((line, _)) = self.lock().get(key)
        {
            line.freed.notify_one();
        }
    }

    /// Whether anybody waits for a key.
    pub(super) fn has_line(&self, key: &str) -> bool {
        self.lock().contains_key(key)
    }

    /// The keys that begin with `key_prefix`, and how many callers wait for each.
    pub(super) fn lines(&self, key_prefix: &str) -> Vec<(String, usize)> {
        let lines = self.lock();
        let lines = lines.iter().filter(|(key, _)| key.starts_with(key_prefix));
        lines.map(|(key, (_, places))| (key.clone(), *places)).collect()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, (Arc<Line>, usize)>> {
        // No code between a change to the map and the change of a number can panic.
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl PlaceInLine<'_> {
    /// Waits until the caller is the first in line; `None` if the wait is over before.
    pub(super) async fn first(&self) -> Option<First<'_>> {
        let (turn, queued) = match self.line.first.try_lock() {
            Ok(turn) => (turn, false),
            Err(_) => tokio::select! {
                biased;
                () = self.over() => return None,
                turn = self.line.first.lock() => (turn, true),
            },
        };
        Some(First {
            place: self,
            queued,
            said_free: false,
            holder: None,
            pauses: Pauses::default(),
            pace: Pace::default(),
            notified_at: None,
            _turn: turn,
        })
    }

    /// Whether the store notifies the first in line when the lock is free, so that no other caller needs to try.
    pub(super) fn is_watched(&self) -> bool {
        self.line.watched.load(Ordering::Acquire)
    }

    /// Waits until the wait is over.
    pub(super) async fn over(&self) {
        let deadline = async {
            match self.deadline {
                Some(deadline) => sleep_until(deadline).await,
                None => pending().await,
            }
        };
        tokio::select! {
            () = deadline => {}
            () = self.waits.ending.cancelled() => {}
        }
    }

    /// Whether all waits were ended.
    pub(super) fn is_ended(&self) -> bool {
        self.waits.ending.is_cancelled()
    }

    fn is_over(&self) -> bool {
        let late = self.deadline.is_some_and(|deadline| deadline <= Instant::now());
        late || self.is_ended()
    }

    /// Notes that the wait ended with the lock.
    pub(super) fn acquired(&self) {
        self.acquired.store(true, Ordering::Relaxed);
    }
}

impl First<'_> {
    /// Whether to try at once, before asking whether the lock is free.
    pub(super) fn begins_with_a_try(&self) -> bool {
        !self.queued
    }

    /// Notes that the wait ended with the lock.
    pub(super) fn acquired(&self) {
        self.place.acquired();
        if let Some(notified_at) = self.notified_at {
            self.place.waits.handover_seconds.record(notified_at.elapsed());
        }
    }

    /// Waits until a try is worth it, or the wait is over.
    pub(super) async fn next(&mut self, store: &dyn Store) -> NextMove {
        self.notified_at = None;
        if self.place.is_over() {
            return NextMove::Leave;
        }
        let line = &self.place.line;
        // A watch sees a release from before it began.
        let freed = line.freed.notified().now_or_never().is_some();
        let watched = tokio::select! {
            biased;
            () = self.place.over() => return NextMove::LastTry,
            watched = store.watch(self.place.key) => watched,
            () = line.freed.notified() => return NextMove::Try,
        };
        match watched {
            None if freed => NextMove::Try,
            None => self.pause().await,
            Some(Watched { holding: None, .. }) => match mem::replace(&mut self.said_free, true) {
                false => NextMove::Try,
                // The store was wrong: it has not removed an expired lock yet, or the answer came from a server that
                // lags behind.
                true => self.pause().await,
            },
            Some(Watched { holding: Some(holding), changed }) => {
                self.said_free = false;
                self.pauses = Pauses::default();
                let same = self.holder.as_ref() == Some(&holding.owner);
                let left = holding.time_left();
                self.holder = Some(holding.owner);
                self.wait_for_change(left, changed, same).await
            }
        }
    }

    /// Waits until the store reports that the lock has changed, or the lock's time is over. `same` is whether the
    /// holder is the same as after the last change.
    async fn wait_for_change(
        &mut self,
        left: Option<Duration>,
        changed: impl Future<Output = ()>,
        same: bool,
    ) -> NextMove {
        let line = &self.place.line;
        line.watched.store(true, Ordering::Release);
        let expiry = async {
            match left.and_then(|left| Instant::now().checked_add(left)) {
                Some(end) => sleep_until(end).await,
                None => pending().await,
            }
        };
        let pace = &mut self.pace;
        let changed = async {
            if same {
                pace.rest().await;
            }
            changed.await;
        };
        tokio::select! {
            biased;
            () = self.place.over() => return NextMove::LastTry,
            () = changed => {}
            () = line.freed.notified() => {}
            () = expiry => {}
        }
        self.notified_at = Some(Instant::now());
        NextMove::Try
    }

    /// Pauses before the next try.
    async fn pause(&mut self) -> NextMove {
        self.place.line.watched.store(false, Ordering::Release);
        tokio::select! {
            () = sleep(self.pauses.next(fastrand::u64(..))) => NextMove::Try,
            () = self.place.over() => NextMove::LastTry,
            () = self.place.line.freed.notified() => {
                self.pauses = Pauses::default();
                NextMove::Try
            }
        }
    }
}

impl Drop for PlaceInLine<'_> {
    fn drop(&mut self) {
        self.waits.waiters.fetch_sub(1, Ordering::AcqRel);
        self.waits.waiters_gauge.decrement(1);
        let acquired = self.acquired.load(Ordering::Relaxed);
        let Waits { acquired_seconds, gave_up_seconds, .. } = self.waits;
        let seconds = if acquired { acquired_seconds } else { gave_up_seconds };
        seconds.record(self.since.elapsed());
        let mut lines = self.waits.lock();
        if let Some((_, places)) = lines.get_mut(self.key) {
            *places -= 1;
            if *places == 0 {
                lines.remove(self.key);
            }
        }
    }
}

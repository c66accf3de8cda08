//! Sources of responses, which are dropped when their callers stop reading.
//!
//! Over HTTP/2 a caller can leave one response unread and go on using its connection. That response is then no longer
//! polled, so it cannot detect this by itself, and would keep what it has: its memory, or its lock.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    task::Poll,
    time::Duration,
};

use tokio::{
    task::AbortHandle,
    time::{Instant, sleep},
};

/// A source that is polled for one piece of a response after the other.
pub(crate) struct Unread<T> {
    state: Arc<Mutex<State<T>>>,
    looking: Option<AbortHandle>,
}

struct State<T> {
    /// `None` after its end, and after its caller was given up.
    source: Option<T>,
    /// Since when the caller has left a piece unread; `None` while the caller waits for one.
    since: Option<Instant>,
}

impl<T: Send + 'static> Unread<T> {
    /// Calls `give_up` and drops the source when the caller has left a piece unread for `patience`; `None` is no limit.
    /// With a limit, this must be called in a Tokio runtime. The first piece counts as unread from `since` on; with
    /// `None`, the caller waits for it.
    pub(crate) fn new(
        source: T,
        since: Option<Instant>,
        patience: Option<Duration>,
        give_up: impl FnOnce() + Send + 'static,
    ) -> Self {
        let state = Arc::new(Mutex::new(State { source: Some(source), since }));
        let look = |patience| look_after(Arc::downgrade(&state), patience, give_up);
        let looking = patience.map(|patience| tokio::spawn(look(patience)).abort_handle());
        Self { state, looking }
    }
}

/// Checks from time to time whether the caller still reads.
async fn look_after<T>(
    state: Weak<Mutex<State<T>>>,
    patience: Duration,
    give_up: impl FnOnce() + Send,
) {
    loop {
        sleep(patience / 4).await;
        let Some(state) = state.upgrade() else { return };
        let mut state = lock(&state);
        if state.since.is_some_and(|since| since.elapsed() >= patience) {
            give_up();
            state.source = None;
            return;
        }
    }
}

impl<T> Unread<T> {
    /// Polls the source for the next piece; `None` if there is no source any more.
    pub(crate) fn poll<P>(&self, poll: impl FnOnce(&mut T) -> Poll<P>) -> Option<Poll<P>> {
        let mut state = lock(&self.state);
        let polled = poll(state.source.as_mut()?);
        state.since = polled.is_ready().then(Instant::now);
        Some(polled)
    }

    /// Drops the source, because it has ended.
    pub(crate) fn end(&self) {
        *lock(&self.state) = State { source: None, since: None };
    }

    /// What `read` finds in the source; `None` if there is no source any more.
    pub(crate) fn look<R>(&self, read: impl FnOnce(&T) -> R) -> Option<R> {
        lock(&self.state).source.as_ref().map(read)
    }
}

impl<T> Drop for Unread<T> {
    fn drop(&mut self) {
        if let Some(looking) = &self.looking {
            looking.abort();
        }
    }
}

fn lock<T>(state: &Mutex<State<T>>) -> MutexGuard<'_, State<T>> {
    // A source that has panicked is not polled again.
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

//! Streams that end when their reader stops reading.
//!
//! Over HTTP/2 a caller that stops reading a response can keep using its connection. The stream of that response is
//! then no longer polled, so it cannot detect this by itself, and would keep its lock.

use std::{
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    task::{Context, Poll, ready},
    time::Duration,
};

use futures_util::Stream;
use tokio::{
    task::AbortHandle,
    time::{Instant, sleep},
};

use crate::server::Parting;

/// How long a reader may leave an item unread.
const PATIENCE: Duration = Duration::from_secs(60);

/// A stream that ends once it has not been polled for the next item for a minute. It then drops the inner stream.
pub(crate) struct Untaken<S> {
    state: Arc<Mutex<State<S>>>,
    looking: AbortHandle,
}

struct State<S> {
    /// `None` once it has ended.
    items: Option<Pin<Box<S>>>,
    /// When an item was given, unless the next one was asked for since.
    given: Option<Instant>,
}

impl<S: Stream + Send + 'static> Untaken<S> {
    /// `parting` learns that its reader was given up. Must be called in a Tokio runtime.
    pub(crate) fn end(items: S, parting: Parting) -> Self {
        let state = Arc::new(Mutex::new(State { items: Some(Box::pin(items)), given: None }));
        let looking = tokio::spawn(look_after(Arc::downgrade(&state), parting)).abort_handle();
        Self { state, looking }
    }
}

/// Checks from time to time whether the reader is still there.
async fn look_after<S>(state: Weak<Mutex<State<S>>>, parting: Parting) {
    loop {
        sleep(PATIENCE / 4).await;
        let Some(state) = state.upgrade() else { return };
        let mut state = lock(&state);
        if state.given.is_some_and(|given| given.elapsed() >= PATIENCE) {
            parting.give_up();
            state.items = None;
            return;
        }
    }
}

impl<S: Stream> Stream for Untaken<S> {
    type Item = S::Item;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<S::Item>> {
        let mut state = lock(&self.state);
        state.given = None;
        let Some(items) = &mut state.items else { return Poll::Ready(None) };
        let item = ready!(items.as_mut().poll_next(cx));
        match item {
            Some(_) => state.given = Some(Instant::now()),
            None => state.items = None,
        }
        Poll::Ready(item)
    }
}

impl<S> Drop for Untaken<S> {
    fn drop(&mut self) {
        self.looking.abort();
    }
}

fn lock<S>(state: &Mutex<State<S>>) -> MutexGuard<'_, State<S>> {
    // A stream that has panicked is asked no more.
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use futures_util::{StreamExt, stream};
    use tokio::sync::mpsc;

    use super::*;

    /// A stream that counts to three, and a receiver that says when it is dropped.
    fn counting(parting: &Parting) -> (Untaken<impl Stream<Item = u32>>, mpsc::Receiver<()>) {
        let (held, dropped) = mpsc::channel(1);
        let items = stream::iter([1, 2, 3]).chain(stream::pending());
        let items = items.inspect(move |_| drop(held.clone()));
        (Untaken::end(items, parting.clone()), dropped)
    }

    #[tokio::test(start_paused = true)]
    async fn untaken_items_are_dropped_after_a_minute() {
        let parting = Parting::default();
        let (mut items, mut dropped) = counting(&parting);
        assert_eq!(items.next().await, Some(1));
        let begun = Instant::now();
        assert_eq!(dropped.recv().await, None);
        assert!(parting.is_given_up());
        assert!((60..=75).contains(&begun.elapsed().as_secs()), "{:?}", begun.elapsed());
        assert_eq!(items.next().await, None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_reader_that_keeps_up_may_wait_for_more() {
        let parting = Parting::default();
        let (mut items, mut dropped) = counting(&parting);
        for expected in 1..=3 {
            sleep(PATIENCE / 2).await;
            assert_eq!(items.next().await, Some(expected));
        }
        let next = tokio::time::timeout(PATIENCE * 10, items.next());
        assert!(next.await.is_err());
        assert!(dropped.try_recv() == Err(mpsc::error::TryRecvError::Empty));
        drop(items);
        assert_eq!(dropped.recv().await, None);
        assert!(!parting.is_given_up());
    }
}

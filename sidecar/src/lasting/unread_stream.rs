//! Streams that end when their reader stops reading.

use std::{
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use futures_util::Stream;

use crate::server::{Parting, Unread};

/// How long a reader may leave an item unread.
const PATIENCE: Duration = Duration::from_secs(60);

/// A stream that ends once it has not been polled for the next item for a minute. It then drops the inner stream.
pub(crate) struct UnreadStream<S>(Unread<Pin<Box<S>>>);

impl<S: Stream + Send + 'static> UnreadStream<S> {
    /// `parting` learns that its reader was given up. Must be called in a Tokio runtime.
    pub(crate) fn end(items: S, parting: Parting) -> Self {
        Self(Unread::new(Box::pin(items), None, Some(PATIENCE), move || parting.give_up()))
    }
}

impl<S: Stream> Stream for UnreadStream<S> {
    type Item = S::Item;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<S::Item>> {
        let polled = self.0.poll(|items| items.as_mut().poll_next(cx));
        if matches!(polled, Some(Poll::Ready(None))) {
            self.0.end();
        }
        polled.unwrap_or(Poll::Ready(None))
    }
}

#[cfg(test)]
mod tests {
    use futures_util::{StreamExt, stream};
    use tokio::{
        sync::mpsc,
        time::{Instant, sleep},
    };

    use super::*;

    /// A stream that counts to three, and a receiver that says when it is dropped.
    fn counting(parting: &Parting) -> (UnreadStream<impl Stream<Item = u32>>, mpsc::Receiver<()>) {
        let (held, dropped) = mpsc::channel(1);
        let items = stream::iter([1, 2, 3]).chain(stream::pending());
        let items = items.inspect(move |_| drop(held.clone()));
        (UnreadStream::end(items, parting.clone()), dropped)
    }

    #[tokio::test(start_paused = true)]
    async fn unread_items_are_dropped_after_a_minute() {
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

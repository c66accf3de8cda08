//! Stores for tests of what calls them.

use std::{sync::Arc, time::Duration};

use futures_util::future::BoxFuture;
use holdfast::store::{Acquired, Failure, Grant, Released, Store};
use tokio::sync::{Semaphore, mpsc};

use crate::http_client::LONG;

/// A store that grants everything, one call for each permit, and tells what happens to calls.
pub struct Gate {
    permits: Arc<Semaphore>,
    events: mpsc::UnboundedSender<Event>,
}

/// What happens to a call.
#[derive(Debug, PartialEq, Eq)]
pub enum Event {
    /// It came to the store.
    Entered,
    /// The store answered it.
    Answered,
    /// Its caller dropped it before that.
    Dropped,
}

/// What happens to calls, in order.
pub struct Events(mpsc::UnboundedReceiver<Event>);

impl Events {
    /// The next event; `None` when the store is gone.
    ///
    /// # Panics
    ///
    /// When none comes in time.
    pub async fn recv(&mut self) -> Option<Event> {
        tokio::time::timeout(LONG, self.0.recv()).await.expect("an event")
    }
}

struct Call {
    events: mpsc::UnboundedSender<Event>,
    answered: bool,
}

impl Drop for Call {
    fn drop(&mut self) {
        let event = if self.answered { Event::Answered } else { Event::Dropped };
        let _ = self.events.send(event);
    }
}

impl Gate {
    /// The store, its permits, of which there are none yet, and the events.
    pub fn new() -> (Self, Arc<Semaphore>, Events) {
        let permits = Arc::new(Semaphore::new(0));
        let (events, told) = mpsc::unbounded_channel();
        (Self { permits: Arc::clone(&permits), events }, permits, Events(told))
    }

    async fn pass(&self) {
        let mut call = Call { events: self.events.clone(), answered: false };
        let _ = self.events.send(Event::Entered);
        self.permits.acquire().await.expect("it is not closed").forget();
        call.answered = true;
    }
}

impl Store for Gate {
    fn acquire<'a>(
        &'a self,
        _: &'a str,
        _: &'a str,
        _: Duration,
    ) -> BoxFuture<'a, Result<Acquired, Failure>> {
        Box::pin(async {
            self.pass().await;
            Ok(Acquired::Granted(Grant { fencing_token: None }))
        })
    }

    fn release<'a>(&'a self, _: &'a str, _: &'a str) -> BoxFuture<'a, Result<Released, Failure>> {
        Box::pin(async {
            self.pass().await;
            Ok(Released::Released)
        })
    }
}

/// A store that is down.
pub struct Down;

impl Store for Down {
    fn acquire<'a>(
        &'a self,
        _: &'a str,
        _: &'a str,
        _: Duration,
    ) -> BoxFuture<'a, Result<Acquired, Failure>> {
        Box::pin(async { Err(Failure::not_done("no \"connection\"")) })
    }

    fn release<'a>(&'a self, _: &'a str, _: &'a str) -> BoxFuture<'a, Result<Released, Failure>> {
        Box::pin(async { Err(Failure::not_done("no \"connection\"")) })
    }
}

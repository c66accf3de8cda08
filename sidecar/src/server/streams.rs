//! The requests of one HTTP/2 connection, which run in the connection's own task.
//!
//! A task for each request would cost a wake-up of another thread, and one back for the response. In the task of
//! the connection, all requests that a batch of replies wakes are answered in one go, and written together.

use std::{
    mem,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
};

use futures_util::{Stream, future::BoxFuture, stream::FuturesUnordered};
use hyper::rt::Executor;

/// Takes the requests of a connection from hyper. Clones share them.
#[derive(Clone, Default)]
pub(super) struct NewStreams(Arc<Mutex<Vec<BoxFuture<'static, ()>>>>);

/// Runs them.
pub(super) struct Streams {
    new: NewStreams,
    running: FuturesUnordered<BoxFuture<'static, ()>>,
}

impl NewStreams {
    fn lock(&self) -> MutexGuard<'_, Vec<BoxFuture<'static, ()>>> {
        // A push or a swap is whole even if its thread panics later.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<F: Future<Output = ()> + Send + 'static> Executor<F> for NewStreams {
    fn execute(&self, stream: F) {
        self.lock().push(Box::pin(stream));
    }
}

impl Streams {
    pub(super) fn of(new: NewStreams) -> Self {
        Self { new, running: FuturesUnordered::new() }
    }

    /// Runs the requests that can go on.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) {
        self.running.extend(mem::take(&mut *self.new.lock()));
        // A connection of HTTP/1 has none, ever.
        if self.running.is_empty() {
            return;
        }
        while let Poll::Ready(Some(())) = Pin::new(&mut self.running).poll_next(cx) {}
    }

    /// Whether there are requests that have not run yet.
    pub(super) fn are_new(&self) -> bool {
        !self.new.lock().is_empty()
    }
}

//! Runs the calls of long requests, which compute for so long that they would delay other calls.

use std::{future::poll_fn, pin::Pin, task::Poll, thread::available_parallelism};

use tokio::{
    runtime::{Handle, RuntimeFlavor},
    sync::Semaphore,
    task::block_in_place,
};

/// A request of more than this many bytes is long.
const LONG: usize = 64 << 10;

/// Runs the calls of long requests beside the threads that run all others, a few at a time.
#[derive(Debug)]
pub(crate) struct LongRequests {
    turns: Semaphore,
}

impl LongRequests {
    /// Half of the processors at a time, at least one.
    pub(crate) fn new() -> Self {
        let processors = available_parallelism().map_or(1, usize::from);
        Self { turns: Semaphore::new((processors / 2).max(1)) }
    }

    /// Runs a call with a request of this many bytes.
    pub(crate) async fn run<F: Future>(&self, bytes: usize, mut call: Pin<&mut F>) -> F::Output {
        // The runtime of a test may have no other thread.
        let is_long =
            bytes > LONG && Handle::current().runtime_flavor() == RuntimeFlavor::MultiThread;
        if !is_long {
            return call.await;
        }
        loop {
            // It fails only if the semaphore is closed, which it never is.
            let turn = self.turns.acquire().await;
            let polled = poll_fn(|cx| Poll::Ready(block_in_place(|| call.as_mut().poll(cx)))).await;
            // The turn is for computing, and not for waiting for the store.
            drop(turn);
            match polled {
                Poll::Ready(output) => return output,
                Poll::Pending => woken().await,
            }
        }
    }
}

/// Waits until something that was polled in this task before wakes it.
async fn woken() {
    let mut is_woken = false;
    poll_fn(|_| match std::mem::replace(&mut is_woken, true) {
        true => Poll::Ready(()),
        false => Poll::Pending,
    })
    .await;
}

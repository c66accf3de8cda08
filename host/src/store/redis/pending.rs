//! A command that has been sent and not been answered.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
    time::Instant,
};

use redis::RedisResult;

use super::commands::Reply;

/// A reply that is still to come.
pub(super) struct Left<T> {
    pub(super) reply: Reply<T>,
    /// The connection that it is to come by.
    pub(super) connection: u64,
    /// The command was not sent before.
    pub(super) sent: Instant,
}

/// Waits for a reply. Where the waiting ends, because the time is up or because the caller has
/// gone, the reply goes to `leave` and is not dropped: a command cannot be taken back.
pub(super) struct Pending<'a, T, L: Fn(Left<T>)> {
    waiting: Option<Left<T>>,
    leave: &'a L,
}

impl<'a, T, L: Fn(Left<T>)> Pending<'a, T, L> {
    pub(super) fn new(waiting: Left<T>, leave: &'a L) -> Self {
        Self { waiting: Some(waiting), leave }
    }
}

impl<T, L: Fn(Left<T>)> Future for Pending<'_, T, L> {
    type Output = RedisResult<T>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Some(waiting) = &mut self.waiting else {
            return Poll::Pending;
        };
        let answer = ready!(waiting.reply.as_mut().poll(cx));
        self.waiting = None;
        Poll::Ready(answer.map(|(outcome, _)| outcome))
    }
}

impl<T, L: Fn(Left<T>)> Drop for Pending<'_, T, L> {
    fn drop(&mut self) {
        if let Some(left) = self.waiting.take() {
            (self.leave)(left);
        }
    }
}

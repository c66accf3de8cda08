//! A command that was sent and is not answered yet.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
    time::Instant,
};

use redis::RedisResult;

use super::commands::Reply;

/// A command without a reply.
pub(super) struct Unanswered<T> {
    pub(super) reply: Reply<T>,
    /// The id of the connection that it was sent on.
    pub(super) connection: u64,
    /// The command was sent at this time or later.
    pub(super) sent: Instant,
}

/// Waits for a reply. If it is dropped before the reply has come, the command goes to `abandon`: it
/// cannot be taken back.
pub(super) struct Pending<'a, T, A: Fn(Unanswered<T>)> {
    unanswered: Option<Unanswered<T>>,
    abandon: &'a A,
}

impl<'a, T, A: Fn(Unanswered<T>)> Pending<'a, T, A> {
    pub(super) fn new(unanswered: Unanswered<T>, abandon: &'a A) -> Self {
        Self { unanswered: Some(unanswered), abandon }
    }
}

impl<T, A: Fn(Unanswered<T>)> Future for Pending<'_, T, A> {
    type Output = RedisResult<T>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Some(unanswered) = &mut self.unanswered else {
            return Poll::Pending;
        };
        let answer = ready!(unanswered.reply.as_mut().poll(cx));
        self.unanswered = None;
        Poll::Ready(answer.map(|(outcome, _)| outcome))
    }
}

impl<T, A: Fn(Unanswered<T>)> Drop for Pending<'_, T, A> {
    fn drop(&mut self) {
        if let Some(unanswered) = self.unanswered.take() {
            (self.abandon)(unanswered);
        }
    }
}

//! A command that has been sent and not been answered.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
    time::Instant,
};

use futures_util::future::BoxFuture;
use redis::RedisResult;

use super::connections::Place;

/// The way a command's reply comes in. It keeps its place on the connection until then, and holds
/// the socket open.
pub(super) type Reply<T> = BoxFuture<'static, RedisResult<(T, Place)>>;

/// Whether a script is sent by its digest, which the server may not know, or as it is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Short,
    Full,
}

/// What can be sent, and what becomes of it when nobody waits for its reply any more.
pub(super) trait Command {
    type Outcome;

    /// Hands the command to a connection, once the reply is polled. One command and no more, so
    /// that nothing is sent after the caller has stopped waiting.
    fn send(&self, place: Place, form: Form) -> Reply<Self::Outcome>;

    /// Sees to a reply that is still to come.
    fn leave(&self, left: Left<Self::Outcome>);
}

/// A reply that is still to come, and that its caller has left.
pub(super) struct Left<T> {
    pub(super) reply: Reply<T>,
    /// The connection that it is to come by.
    pub(super) connection: u64,
    /// The command was not sent before.
    pub(super) sent: Instant,
}

/// Waits for a reply. Where the waiting ends, because the time is up or because the caller has
/// gone, the reply is left to the command and not dropped: a command cannot be taken back.
pub(super) struct Pending<'a, C: Command> {
    command: &'a C,
    connection: u64,
    sent: Instant,
    reply: Option<Reply<C::Outcome>>,
}

impl<'a, C: Command> Pending<'a, C> {
    pub(super) fn new(command: &'a C, form: Form, place: Place, sent: Instant) -> Self {
        let connection = place.connection().id();
        Self { command, connection, sent, reply: Some(command.send(place, form)) }
    }
}

impl<C: Command> Future for Pending<'_, C> {
    type Output = RedisResult<C::Outcome>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Some(reply) = &mut self.reply else {
            return Poll::Pending;
        };
        let answer = ready!(reply.as_mut().poll(cx));
        self.reply = None;
        Poll::Ready(answer.map(|(outcome, _)| outcome))
    }
}

impl<C: Command> Drop for Pending<'_, C> {
    fn drop(&mut self) {
        if let Some(reply) = self.reply.take() {
            let (connection, sent) = (self.connection, self.sent);
            self.command.leave(Left { reply, connection, sent });
        }
    }
}

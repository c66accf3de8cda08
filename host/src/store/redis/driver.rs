//! The task of a connection: moves bytes between its queue and the socket, and keeps the time limits.

use std::{
    io,
    net::Shutdown,
    pin::Pin,
    sync::{Arc, atomic::Ordering},
    task::{Context, Poll, Waker, ready},
    time::{Duration, Instant},
};

use bytes::{Buf, BytesMut};
use socket2::SockRef;
use tokio::{
    io::AsyncWrite,
    net::{
        TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    time::{Sleep, sleep_until},
};
use tokio_rustls::client::TlsStream;
use tokio_util::io::poll_read_buf;

use super::{
    answer::Cause,
    connection::{Shared, wake},
};

/// How many bytes are read at a time.
const READ_BYTES: usize = 16 * 1024;

/// The socket to which the driver moves bytes.
pub(super) enum Socket {
    Tcp(OwnedReadHalf, Arc<OwnedWriteHalf>),
    Tls(Box<TlsStream<TcpStream>>),
}

/// The time limits of a connection; `None` for no limit.
#[derive(Clone, Copy)]
pub(super) struct Timeouts {
    /// How long to wait for a reply.
    pub(super) reply: Option<Duration>,
    /// How long the network may accept nothing.
    pub(super) send: Option<Duration>,
}

/// What a connection reports to the pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// A reply is overdue. Later commands must not queue behind it.
    Overdue,
    /// The connection has ended.
    Closed,
}

/// The future of the task. It ends with the connection.
pub(super) struct Driver<F: Fn(u64, Event)> {
    id: u64,
    shared: Arc<Shared>,
    socket: Socket,
    timeouts: Timeouts,
    on_event: F,
    /// Bytes taken from the queue, and how many of them were sent.
    batch: Vec<u8>,
    sent: usize,
    /// Whether the socket must be flushed.
    unflushed: bool,
    /// Since when the network has accepted nothing.
    blocked: Option<Instant>,
    received: BytesMut,
    wakers: Vec<Waker>,
    /// The only timer, and whether it is set.
    timer: Pin<Box<Sleep>>,
    timer_is_set: bool,
    timer_is_for_sending: bool,
    yielded: bool,
}

impl<F: Fn(u64, Event)> Driver<F> {
    /// `on_event` gets the `id` of the connection and each of its events.
    pub(super) fn new(
        id: u64,
        shared: Arc<Shared>,
        socket: Socket,
        timeouts: Timeouts,
        on_event: F,
    ) -> Self {
        Self {
            id,
            shared,
            socket,
            timeouts,
            on_event,
            batch: Vec::new(),
            sent: 0,
            unflushed: false,
            blocked: None,
            received: BytesMut::new(),
            wakers: Vec::new(),
            timer: Box::pin(sleep_until(tokio::time::Instant::now())),
            timer_is_set: false,
            timer_is_for_sending: false,
            yielded: false,
        }
    }

    /// Sends the bytes that are queued. Fails if the connection has ended.
    fn send(&mut self, cx: &mut Context<'_>) -> Result<(), Cause> {
        loop {
            if self.batch.is_empty() {
                let mut queue = self.shared.queue();
                if !queue.may_send() {
                    break;
                }
                // Set under the lock of the queue, so that no caller writes in between.
                self.shared.sending.store(true, Ordering::Release);
                queue.take_bytes(&mut self.batch);
            }
            match self.socket.poll_write(cx, &self.batch[self.sent..]) {
                Poll::Ready(Ok(0)) => return Err(Cause::Lost),
                Poll::Ready(Ok(written)) => {
                    self.blocked = None;
                    self.unflushed = true;
                    self.sent += written;
                    self.shared.queue().handed_over(written);
                    if self.sent == self.batch.len() {
                        self.batch.clear();
                        self.sent = 0;
                    }
                }
                Poll::Ready(Err(error)) => {
                    if self.socket.may_send_before_an_error() {
                        self.shared.queue().handed_over(self.batch.len() - self.sent);
                    }
                    return Err(error.into());
                }
                Poll::Pending => {
                    self.blocked.get_or_insert_with(Instant::now);
                    return Ok(());
                }
            }
        }
        if self.unflushed {
            match self.socket.poll_flush(cx) {
                Poll::Ready(flushed) => {
                    flushed?;
                    self.unflushed = false;
                    self.blocked = None;
                }
                Poll::Pending => {
                    self.blocked.get_or_insert_with(Instant::now);
                    return Ok(());
                }
            }
        }
        self.shared.sending.store(false, Ordering::Release);
        Ok(())
    }

    /// Reads the bytes that have come. Fails if the connection has ended.
    fn receive(&mut self, cx: &mut Context<'_>) -> Result<(), Cause> {
        loop {
            self.received.reserve(READ_BYTES);
            match self.socket.poll_read(cx, &mut self.received) {
                Poll::Pending => return Ok(()),
                Poll::Ready(Err(error)) => return Err(error.into()),
                Poll::Ready(Ok(0)) => return Err(Cause::Lost),
                Poll::Ready(Ok(_)) => {}
            }
            let mut queue = self.shared.queue();
            let taken = queue.receive(&self.received, &mut self.wakers);
            // A grant may have to be given back again before the timer that is set.
            self.timer_is_set &= !queue.postpones();
            drop(queue);
            wake(&mut self.wakers);
            self.received.advance(taken.map_err(|_| Cause::Nonsense)?);
        }
    }

    /// Keeps the time limits. Fails if a limit ends the connection.
    fn keep_time(&mut self, cx: &mut Context<'_>) -> Result<(), Cause> {
        let dropped = self.shared.dropped.load(Ordering::Acquire);
        // Both may end the wait earlier than the timer that is set.
        if self.blocked.is_some() != self.timer_is_for_sending || dropped {
            self.timer_is_set = false;
        }
        loop {
            if self.timer_is_set {
                if self.timer.as_mut().poll(cx).is_pending() {
                    return Ok(());
                }
                self.timer_is_set = false;
            }
            let now = Instant::now();
            let Some(next) = self.next_limit(now, dropped)? else { return Ok(()) };
            self.timer.as_mut().reset(next.max(now).into());
            self.timer_is_set = true;
            self.timer_is_for_sending = self.blocked.is_some();
        }
    }

    /// Ends overdue calls, and returns when to look again. Fails if this ends the connection.
    fn next_limit(&mut self, now: Instant, dropped: bool) -> Result<Option<Instant>, Cause> {
        let mut next = None;
        if let (Some(limit), Some(since)) = (self.timeouts.send, self.blocked) {
            next = since.checked_add(limit);
            if next.is_some_and(|end| end <= now) {
                return Err(Cause::SendTimedOut);
            }
        }
        let mut queue = self.shared.queue();
        let mut overdue = false;
        if let Some(limit) = self.timeouts.reply {
            overdue = queue.is_stuck(limit, now);
            next = next.into_iter().chain(queue.expire(limit, now, &mut self.wakers)).min();
        }
        if dropped {
            next = next.into_iter().chain(queue.lingers_until()).min();
        }
        if queue.give_back_again(now) {
            // The commands are sent in the next step.
            self.shared.driver.wake();
        }
        next = next.into_iter().chain(queue.next_give_back()).min();
        // Set under the lock of the queue, so that a caller that adds a command later sees it.
        let watched = next.is_some() || self.timeouts.reply.is_none();
        self.shared.watched.store(watched, Ordering::Release);
        drop(queue);
        if overdue {
            (self.on_event)(self.id, Event::Overdue);
        }
        wake(&mut self.wakers);
        Ok(next)
    }

    /// Whether the driver waits for nothing any more.
    fn is_done(&self) -> bool {
        if !self.shared.dropped.load(Ordering::Acquire) {
            return false;
        }
        let queue = self.shared.queue();
        let lingers = queue.lingers_until().is_some_and(|until| until > Instant::now());
        queue.len() == 0 && !queue.postpones() || !lingers
    }

    /// Ends the connection.
    fn end(&mut self, cause: &Cause) {
        self.shared.queue().close(cause, &mut self.wakers);
        self.shared.closed.store(true, Ordering::Release);
        self.socket.close();
        (self.on_event)(self.id, Event::Closed);
        wake(&mut self.wakers);
    }

    fn step(&mut self, cx: &mut Context<'_>) -> Result<(), Cause> {
        self.shared.driver.register(cx.waker());
        if let Some(cause) = self.shared.ordered_end.get() {
            return Err(cause.clone());
        }
        self.send(cx)?;
        self.receive(cx)?;
        // Answered calls may have left grants to give back.
        self.send(cx)?;
        self.keep_time(cx)?;
        if self.is_done() { Err(Cause::Closed) } else { Ok(()) }
    }
}

impl<F: Fn(u64, Event) + Unpin> Future for Driver<F> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        // Once after each wake, lets all ready tasks run, so that their commands go out in one write. Does not do so
        // for a single command.
        this.yielded = !this.yielded && this.shared.queue().callers() > 1;
        if this.yielded {
            // Tokio queues a task that wakes itself behind the ready tasks.
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        match this.step(cx) {
            Ok(()) => Poll::Pending,
            Err(cause) => {
                this.end(&cause);
                Poll::Ready(())
            }
        }
    }
}

/// A runtime that shuts down drops the task. No caller may wait for it then.
impl<F: Fn(u64, Event)> Drop for Driver<F> {
    fn drop(&mut self) {
        if !self.shared.closed.load(Ordering::Acquire) {
            self.end(&Cause::Closed);
        }
    }
}

impl Socket {
    fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut BytesMut,
    ) -> Poll<io::Result<usize>> {
        match self {
            Self::Tcp(stream, _) => poll_read_buf(Pin::new(stream), cx, buffer),
            Self::Tls(stream) => poll_read_buf(Pin::new(stream), cx, buffer),
        }
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self {
            Self::Tcp(_, stream) => loop {
                ready!(stream.as_ref().as_ref().poll_write_ready(cx))?;
                match stream.try_write(bytes) {
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                    written => return Poll::Ready(written),
                }
            },
            Self::Tls(stream) => Pin::new(stream).poll_write(cx, bytes),
        }
    }

    /// Whether a write that fails may have sent a part of its bytes: TLS sends them as several records.
    fn may_send_before_an_error(&self) -> bool {
        matches!(self, Self::Tls(_))
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Tcp(..) => Poll::Ready(Ok(())),
            Self::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    /// Closes the socket, though others have a handle of it.
    fn close(&self) {
        let stream = match self {
            Self::Tcp(_, stream) => stream.as_ref().as_ref(),
            Self::Tls(stream) => stream.get_ref().0,
        };
        // Fails if the peer has closed it.
        let _ = SockRef::from(stream).shutdown(Shutdown::Both);
    }
}

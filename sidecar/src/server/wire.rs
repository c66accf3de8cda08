//! The bytes of a connection, which the server can read ahead of hyper.
//!
//! While a request of HTTP/1 is being answered, hyper stops reading once it has bytes of the next request, and
//! then does not see that the caller has left. The lock that the caller was granted would stay held.

use std::{
    io,
    mem::MaybeUninit,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, ready},
};

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::control::{Control, Side};

/// How many bytes are kept for later requests, on top of those that hyper has read.
const MAX_AHEAD: usize = 16 << 10;

/// How many bytes are read in one turn of the connection's task. A caller that never stops sending would otherwise
/// keep the task busy, for HTTP/2 has frames that cost their sender nothing.
const PER_TURN: usize = 16 << 10;

/// The reading and the writing end of a connection. Clones share it.
pub(super) struct Wire<S> {
    shared: Arc<Mutex<Shared<S>>>,
    control: Arc<Control>,
}

struct Shared<S> {
    stream: S,
    /// The bytes that were read and hyper has not taken yet.
    ahead: BytesMut,
    /// Bytes were dropped, so nothing that comes later is a request.
    is_cut: bool,
    /// How many bytes this turn may still read.
    left: usize,
    /// Something was not read, because this turn had read enough.
    is_put_off: bool,
    /// The caller takes none of the bytes that are being written.
    stalls: bool,
}

/// The result of reading ahead.
pub(super) enum Ahead {
    /// The caller has left.
    Gone,
    /// The caller sends nothing more, and may have left.
    Ended,
    /// The caller sends more requests than it may before their answers.
    TooMuch,
}

impl<S> Wire<S> {
    pub(super) fn new(stream: S, control: Arc<Control>) -> Self {
        let shared = Shared {
            stream,
            ahead: BytesMut::new(),
            is_cut: false,
            left: PER_TURN,
            is_put_off: false,
            stalls: false,
        };
        Self { shared: Arc::new(Mutex::new(shared)), control }
    }

    pub(super) fn share(&self) -> Self {
        Self { shared: self.shared.clone(), control: self.control.clone() }
    }

    /// Notes that the task has a new turn, which may read again.
    pub(super) fn begin_turn(&self) {
        let mut shared = self.lock();
        (shared.left, shared.is_put_off) = (PER_TURN, false);
    }

    /// Whether the turn has read enough although there may be more. Then nothing but the next turn reads it.
    pub(super) fn is_put_off(&self) -> bool {
        self.lock().is_put_off
    }

    /// Notes the end of the connection, if this is one. A caller who leaves closes or resets it; any other error shows
    /// that there was no sign of the caller for too long.
    fn note_end<T>(&self, outcome: &io::Result<T>) {
        use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset};
        if let Err(error) = outcome {
            let by = match error.kind() {
                BrokenPipe | ConnectionAborted | ConnectionReset => Side::Caller,
                _ => Side::Server,
            };
            self.control.ended(by);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Shared<S>> {
        // One task uses both clones, one after the other. It ends if it panics.
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<S: AsyncRead + Unpin> Shared<S> {
    /// Reads, unless the turn has read enough.
    fn poll_receive(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.left == 0 {
            self.is_put_off = true;
            return Poll::Pending;
        }
        let before = buffer.filled().len();
        let outcome = ready!(Pin::new(&mut self.stream).poll_read(cx, buffer));
        self.left = self.left.saturating_sub(buffer.filled().len() - before);
        Poll::Ready(outcome)
    }
}

impl<S: AsyncWrite + Unpin> Wire<S> {
    /// Writes, and notes whether the caller takes the bytes.
    fn poll_send(
        &self,
        write: impl FnOnce(Pin<&mut S>) -> Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        let mut shared = self.lock();
        let written = write(Pin::new(&mut shared.stream));
        if shared.stalls != written.is_pending() {
            shared.stalls = written.is_pending();
            self.control.stalls(shared.stalls);
        }
        if let Poll::Ready(outcome) = &written {
            self.note_end(outcome);
        }
        written
    }
}

impl<S: AsyncRead + Unpin> Wire<S> {
    /// Reads while hyper does not. Once there is too much, the rest is read and dropped.
    pub(super) fn poll_ahead(&self, cx: &mut Context<'_>) -> Poll<Ahead> {
        let mut shared = self.lock();
        let mut scratch = [const { MaybeUninit::uninit() }; 2048];
        loop {
            let mut read = ReadBuf::uninit(&mut scratch);
            let outcome = ready!(shared.poll_receive(cx, &mut read));
            self.note_end(&outcome);
            if outcome.is_err() {
                return Poll::Ready(Ahead::Gone);
            }
            if read.filled().is_empty() {
                self.control.ended(Side::Caller);
                return Poll::Ready(Ahead::Ended);
            }
            if shared.is_cut {
                continue;
            }
            if shared.ahead.len() + read.filled().len() > MAX_AHEAD {
                shared.is_cut = true;
                // hyper reads on if it has not seen the end of the requests that it may answer.
                cx.waker().wake_by_ref();
                return Poll::Ready(Ahead::TooMuch);
            }
            shared.ahead.extend_from_slice(read.filled());
            // hyper may have asked for these bytes already.
            cx.waker().wake_by_ref();
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Wire<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let mut shared = self.lock();
        if !shared.ahead.is_empty() {
            let length = shared.ahead.len().min(buffer.remaining());
            buffer.put_slice(&shared.ahead[..length]);
            shared.ahead.advance(length);
            return Poll::Ready(Ok(()));
        }
        if shared.is_cut {
            // A read without bytes is the end.
            return Poll::Ready(Ok(()));
        }
        let before = buffer.filled().len();
        let outcome = ready!(shared.poll_receive(cx, buffer));
        self.note_end(&outcome);
        outcome?;
        let received = &buffer.filled()[before..];
        if received.is_empty() && buffer.remaining() > 0 {
            self.control.ended(Side::Caller);
        }
        self.control.received(received);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Wire<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_send(|stream| stream.poll_write(cx, bytes))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.poll_send(|stream| stream.poll_write_vectored(cx, bytes))
    }

    fn is_write_vectored(&self) -> bool {
        self.lock().stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = ready!(Pin::new(&mut self.lock().stream).poll_flush(cx));
        self.note_end(&flushed);
        Poll::Ready(flushed)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.lock().stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use std::{task::Waker, time::Duration};

    use super::{super::control::CallerLimits, *};

    /// How much is read until there is no more for now.
    fn read(wire: &mut Wire<impl AsyncRead + Unpin>) -> usize {
        let mut context = Context::from_waker(Waker::noop());
        let mut bytes = [0; 1000];
        let mut length = 0;
        loop {
            let mut buffer = ReadBuf::new(&mut bytes);
            if Pin::new(&mut *wire).poll_read(&mut context, &mut buffer).is_pending() {
                return length;
            }
            length += buffer.filled().len();
        }
    }

    #[test]
    fn a_caller_that_sends_without_end_is_read_turn_by_turn() {
        let hour = Duration::from_secs(3600);
        let limits = CallerLimits { head: hour, idle: None, stall: hour };
        let control = Arc::new(Control::new(limits, Arc::default()));
        let mut wire = Wire::new(tokio::io::repeat(0), control);
        for _ in 0..3 {
            wire.begin_turn();
            assert!(!wire.is_put_off());
            let length = read(&mut wire);
            // The last read may take more than is left.
            assert!((PER_TURN..PER_TURN + 1000).contains(&length), "{length}");
            assert!(wire.is_put_off());
        }
        // Bytes that are read ahead of hyper count too, even if they are dropped.
        let mut context = Context::from_waker(Waker::noop());
        wire.begin_turn();
        assert!(wire.poll_ahead(&mut context).is_pending() && wire.is_put_off());
        wire.begin_turn();
        assert!(matches!(wire.poll_ahead(&mut context), Poll::Ready(Ahead::TooMuch)));
        assert!(wire.poll_ahead(&mut context).is_pending() && wire.is_put_off());
    }
}

//! The bytes of a connection, which the server can read ahead of hyper.
//!
//! While a request of HTTP/1 is being answered, hyper stops reading once it has bytes of the next request, and
//! then does not see that the caller has left. What the caller was granted would be lost.

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

/// How many bytes are kept for later requests, on top of what hyper has read.
const MAX_AHEAD: usize = 16 << 10;

/// The reading and the writing end of a connection. Clones share it.
pub(super) struct Wire<S> {
    shared: Arc<Mutex<Shared<S>>>,
    control: Arc<Control>,
}

struct Shared<S> {
    stream: S,
    /// What was read and hyper has not taken yet.
    ahead: BytesMut,
    /// Bytes were dropped, so nothing that comes later is a request.
    is_cut: bool,
    /// The caller takes nothing of what is being written.
    stalls: bool,
}

/// What reading ahead has shown.
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
        let shared = Shared { stream, ahead: BytesMut::new(), is_cut: false, stalls: false };
        Self { shared: Arc::new(Mutex::new(shared)), control }
    }

    pub(super) fn share(&self) -> Self {
        Self { shared: self.shared.clone(), control: self.control.clone() }
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

impl<S: AsyncWrite + Unpin> Wire<S> {
    /// Writes, and notes whether the caller takes what it is sent.
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
            let outcome = ready!(Pin::new(&mut shared.stream).poll_read(cx, &mut read));
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
            // Nothing was read, which is the end.
            return Poll::Ready(Ok(()));
        }
        let before = buffer.filled().len();
        let outcome = ready!(Pin::new(&mut shared.stream).poll_read(cx, buffer));
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

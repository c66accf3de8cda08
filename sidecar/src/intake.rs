//! Reading bodies: how many bytes of them are in memory at a time, and how long one may take to arrive.
//!
//! A body of a lock call has some hundred bytes. Longer ones share a budget, and wait for their part of it
//! before they are read, so that no number of callers can fill the memory. The others need no budget: their
//! number is limited by that of the connections and their streams.

use std::{
    error::Error as StdError,
    pin::{Pin, pin},
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::{Buf, Bytes, BytesMut};
use futures_util::future::BoxFuture;
use http_body_util::BodyExt;
use hyper::{
    HeaderMap,
    body::{Body, Frame, SizeHint},
};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Sleep, sleep},
};

use crate::throttle::Throttle;

/// A body, or headers, of at most this many bytes needs no part of the budget.
const SMALL: usize = 8 << 10;

/// The budget is counted in pieces of this many bytes.
const PIECE: usize = 1 << 10;

/// The limits of the bodies of requests, over HTTP and gRPC together.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct BodyLimits {
    /// How many bytes of long bodies are in memory at a time; at least 4 MiB, so that one body fits. Default:
    /// 32 MiB.
    pub memory: usize,
    /// How long a body may wait for its part of the memory. Default: 1 s.
    pub wait: Duration,
    /// How long a body may take to arrive. Default: 60 s.
    pub time: Duration,
}

impl Default for BodyLimits {
    fn default() -> Self {
        Self { memory: 32 << 20, wait: Duration::from_secs(1), time: Duration::from_secs(60) }
    }
}

impl BodyLimits {
    /// Sets [`memory`](field@Self::memory).
    #[must_use]
    pub fn memory(mut self, memory: usize) -> Self {
        self.memory = memory;
        self
    }

    /// Sets [`wait`](field@Self::wait).
    #[must_use]
    pub fn wait(mut self, wait: Duration) -> Self {
        self.wait = wait;
        self
    }

    /// Sets [`time`](field@Self::time).
    #[must_use]
    pub fn time(mut self, time: Duration) -> Self {
        self.time = time;
        self
    }
}

/// Reads bodies within the limits. Cheap to clone; clones share one budget.
#[derive(Clone, Debug)]
pub(crate) struct Intake(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    limits: BodyLimits,
    budget: Arc<Semaphore>,
    refused: Throttle,
}

/// A part of the budget, until this is dropped.
#[derive(Debug)]
pub(crate) struct Room {
    _pieces: OwnedSemaphorePermit,
    bytes: usize,
}

/// A body in memory.
#[derive(Debug)]
pub(crate) struct Whole {
    pub(crate) bytes: Bytes,
    _room: Option<Room>,
}

/// Why a body was not read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotRead {
    #[error("too many large requests: {0} MiB of them are in memory")]
    NoRoom(usize),
    #[error("it did not arrive within {0:?}")]
    TooSlow(Duration),
    #[error("it is too long")]
    TooLong,
    #[error("{0}")]
    Failed(Box<dyn StdError + Send + Sync>),
}

impl Intake {
    pub(crate) fn new(limits: BodyLimits) -> Self {
        let pieces = (limits.memory / PIECE).min(Semaphore::MAX_PERMITS);
        let budget = Arc::new(Semaphore::new(pieces));
        Self(Arc::new(Inner { limits, budget, refused: Throttle::new(1) }))
    }

    /// Reads a body of at most `most` bytes. After [`NotRead::TooLong`] the rest of it can still be read.
    pub(crate) async fn read<B>(&self, body: &mut B, most: usize) -> Result<Whole, NotRead>
    where
        B: Body + Unpin,
        B::Error: Into<Box<dyn StdError + Send + Sync>>,
    {
        let time = self.0.limits.time;
        let reading = tokio::time::timeout(time, self.read_all(body, most));
        reading.await.unwrap_or(Err(NotRead::TooSlow(time)))
    }

    async fn read_all<B>(&self, body: &mut B, most: usize) -> Result<Whole, NotRead>
    where
        B: Body + Unpin,
        B::Error: Into<Box<dyn StdError + Send + Sync>>,
    {
        let hint = body.size_hint();
        if hint.lower() > most as u64 {
            return Err(NotRead::TooLong);
        }
        // What is not known may be as long as it may be.
        let expected = hint.exact().map_or(most, |length| length as usize);
        let known_to_be_long = hint.exact().is_some() && expected > SMALL;
        let mut room = if known_to_be_long { Some(self.room(expected).await?) } else { None };
        let mut whole = BytesMut::new();
        while let Some(frame) = body.frame().await {
            let Ok(data) = frame.map_err(|error| NotRead::Failed(error.into()))?.into_data() else {
                continue;
            };
            let length = whole.len() + data.remaining();
            if length > most {
                return Err(NotRead::TooLong);
            }
            if length > SMALL && room.is_none() {
                room = Some(self.room(most).await?);
            }
            let mut data = data;
            if whole.is_empty() && body.is_end_stream() {
                // Almost every body is a single piece, which is not copied.
                return Ok(Whole { bytes: data.copy_to_bytes(data.remaining()), _room: room });
            }
            if whole.is_empty() {
                whole.reserve(hint.exact().map_or(length, |_| expected));
            }
            while data.has_remaining() {
                let chunk = data.chunk();
                whole.extend_from_slice(chunk);
                data.advance(chunk.len());
            }
        }
        Ok(Whole { bytes: whole.freeze(), _room: room })
    }

    /// Reads more of a body and drops it, for clients that look for the reply only once they have sent
    /// everything.
    pub(crate) async fn skip<B: Body + Unpin>(&self, body: &mut B, most: usize) {
        let skipping = async {
            let mut skipped = 0;
            while skipped < most
                && let Some(Ok(frame)) = body.frame().await
            {
                skipped += frame.data_ref().map_or(0, Buf::remaining);
            }
        };
        // Those who are too slow get the reply earlier.
        let _ = tokio::time::timeout(self.0.limits.time, skipping).await;
    }

    /// Room for headers that are long. `None` for others, which are nearly all.
    pub(crate) fn headers(&self, headers: &HeaderMap) -> Result<Option<Room>, NotRead> {
        let field = |(name, value): (&hyper::header::HeaderName, &hyper::header::HeaderValue)| {
            name.as_str().len() + value.len()
        };
        let bytes = headers.iter().map(field).sum::<usize>();
        if bytes <= SMALL {
            return Ok(None);
        }
        let pieces = self.0.budget.clone().try_acquire_many_owned(pieces(bytes));
        match pieces {
            Ok(pieces) => Ok(Some(Room { _pieces: pieces, bytes })),
            Err(_) => Err(self.no_room()),
        }
    }

    /// Waits for a part of the budget.
    async fn room(&self, bytes: usize) -> Result<Room, NotRead> {
        let pieces = self.0.budget.clone().acquire_many_owned(pieces(bytes));
        match tokio::time::timeout(self.0.limits.wait, pieces).await {
            Ok(Ok(pieces)) => Ok(Room { _pieces: pieces, bytes }),
            _ => Err(self.no_room()),
        }
    }

    fn no_room(&self) -> NotRead {
        let refusal = NotRead::NoRoom(self.0.limits.memory >> 20);
        if let Some(left_out) = self.0.refused.pass() {
            tracing::warn!(left_out, "a request was refused: {refusal}");
        }
        refusal
    }
}

fn pieces(bytes: usize) -> u32 {
    u32::try_from(bytes.div_ceil(PIECE)).unwrap_or(u32::MAX)
}

/// The body of a gRPC call with one message, which arrives within the limits.
///
/// The room that it takes is [shared](Self::kept) with its call, which uses the message longer than this
/// reads it.
pub(crate) struct Message<B> {
    body: B,
    intake: Intake,
    most: usize,
    /// Bytes that were passed on.
    passed: usize,
    kept: Kept,
    /// A piece that waits for room.
    waiting: Option<(Frame<Bytes>, Waiting)>,
    /// Set once the body has to be waited for.
    timer: Option<Pin<Box<Sleep>>>,
}

type Waiting = BoxFuture<'static, Result<Room, NotRead>>;

/// The room of a message, for as long as its call needs it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Kept(Arc<Mutex<Option<Room>>>);

impl Kept {
    fn bytes(&self) -> usize {
        self.lock().as_ref().map_or(SMALL, |room| room.bytes)
    }

    fn keep(&self, room: Room) {
        *self.lock() = Some(room);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Room>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<B> Message<B> {
    /// `most` is the longest message that is accepted, in bytes.
    pub(crate) fn new(body: B, intake: Intake, most: usize) -> Self {
        let kept = Kept::default();
        Self { body, intake, most, passed: 0, kept, waiting: None, timer: None }
    }

    pub(crate) fn kept(&self) -> Kept {
        self.kept.clone()
    }

    /// How many bytes of the budget are needed to pass these on; `None` if there is room for them.
    fn needs(&self, data: &Bytes) -> Option<usize> {
        let passed = self.passed + data.len();
        // A message is preceded by a byte and its length (gRPC over HTTP2, "Length-Prefixed-Message"). The
        // library takes memory for all of it at once.
        let announced = match data.get(1..5) {
            Some(&[a, b, c, d]) if self.passed == 0 => {
                u32::from_be_bytes([a, b, c, d]) as usize + 5
            }
            _ if self.passed == 0 => self.most,
            _ => passed,
        };
        let is_refused = self.passed == 0 && announced > self.most + 5;
        let bytes = announced.max(passed);
        if is_refused || bytes <= self.kept.bytes() {
            return None;
        }
        // More than one message may be as long as one.
        Some(if self.passed == 0 { bytes } else { self.most })
    }
}

impl<B> Body for Message<B>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<Box<dyn StdError + Send + Sync>>,
{
    type Data = Bytes;
    type Error = NotRead;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, NotRead>>> {
        let this = &mut *self;
        loop {
            if let Some((_, room)) = &mut this.waiting {
                let room = ready!(pin!(room).poll(cx));
                let frame = this.waiting.take().map(|(frame, _)| frame);
                match room {
                    Ok(room) => this.kept.keep(room),
                    Err(refusal) => return Poll::Ready(Some(Err(refusal))),
                }
                return Poll::Ready(frame.map(Ok));
            }
            let frame = match Pin::new(&mut this.body).poll_frame(cx) {
                Poll::Ready(Some(Ok(frame))) => frame,
                Poll::Ready(Some(Err(error))) => {
                    return Poll::Ready(Some(Err(NotRead::Failed(error.into()))));
                }
                Poll::Ready(None) => return Poll::Ready(None),
                Poll::Pending => {
                    let time = this.intake.0.limits.time;
                    let timer = this.timer.get_or_insert_with(|| Box::pin(sleep(time)));
                    ready!(timer.as_mut().poll(cx));
                    return Poll::Ready(Some(Err(NotRead::TooSlow(time))));
                }
            };
            let Some(data) = frame.data_ref() else { return Poll::Ready(Some(Ok(frame))) };
            let needs = this.needs(data);
            this.passed += data.len();
            let Some(bytes) = needs else { return Poll::Ready(Some(Ok(frame))) };
            let intake = this.intake.clone();
            this.waiting = Some((frame, Box::pin(async move { intake.room(bytes).await })));
        }
    }

    fn is_end_stream(&self) -> bool {
        self.waiting.is_none() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::default()
    }
}

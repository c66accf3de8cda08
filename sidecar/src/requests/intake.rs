//! Reading bodies: how many bytes of them are in memory at a time, and how long one may take to arrive.
//!
//! The body of a lock call has a few hundred bytes. Longer bodies share a budget and take from it as their bytes
//! arrive, so callers cannot exhaust the memory, and none takes more than 64 KiB beyond what it has sent. Short bodies
//! need no budget: the limits on connections and streams bound their number.

use std::{
    error::Error as StdError, future::poll_fn, pin::pin, sync::Arc, task::Poll, time::Duration,
};

use bytes::{Buf, BufMut, Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::{
    HeaderMap,
    body::Body,
    header::{HeaderName, HeaderValue},
    http::request::Parts,
};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};

use crate::throttle::Throttle;

/// A body, or headers, of at most this many bytes needs no part of the budget.
const UNBUDGETED_BYTES: usize = 8 << 10;

/// The budget is counted in pieces of this many bytes.
const PERMIT_BYTES: usize = 1 << 10;

/// A body takes this many bytes of the budget at a time.
const BYTES_PER_STEP: usize = 64 << 10;

/// The header that names the caller's trace, and how many bytes of it are kept while a call waits.
const TRACE: HeaderName = HeaderName::from_static("traceparent");
const MAX_TRACE: usize = 100;

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
    pieces: OwnedSemaphorePermit,
}

/// A body in memory.
#[derive(Debug)]
pub(crate) struct Whole {
    pub(crate) bytes: Bytes,
    room: Option<Room>,
}

impl Whole {
    /// The bytes, and their part of the budget.
    pub(crate) fn into_parts(self) -> (Bytes, Option<Room>) {
        (self.bytes, self.room)
    }
}

/// Why a body was not read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotRead {
    #[error("too many large requests: they already use {0} MiB of memory")]
    NoRoom(usize),
    #[error("it did not arrive within {0:?}")]
    TooSlow(Duration),
    /// With its length, if it was announced.
    #[error("it is too long")]
    TooLong(Option<usize>),
    #[error("{0}")]
    Failed(Box<dyn StdError + Send + Sync>),
}

impl Intake {
    pub(crate) fn new(limits: BodyLimits) -> Self {
        // One more, for the prefix of a message.
        let pieces = (limits.memory / PERMIT_BYTES).saturating_add(1).min(Semaphore::MAX_PERMITS);
        let budget = Arc::new(Semaphore::new(pieces));
        Self(Arc::new(Inner { limits, budget, refused: Throttle::new(1) }))
    }

    /// How long a body may take to arrive.
    pub(crate) fn time(&self) -> Duration {
        self.0.limits.time
    }

    /// Reads a body of at most `most` bytes. After a refusal the rest can still be read.
    ///
    /// `announced` reads the length of the body from the first bytes, if they have it. Bytes beyond it are dropped.
    pub(crate) async fn read<B>(
        &self,
        body: &mut B,
        most: usize,
        announced: fn(&[u8]) -> Option<usize>,
    ) -> Result<Whole, NotRead>
    where
        B: Body + Unpin,
        B::Error: Into<Box<dyn StdError + Send + Sync>>,
    {
        let mut reading = pin!(self.read_all(body, most, announced));
        // Most bodies are there already, and need no timer.
        if let Poll::Ready(read) = poll_fn(|cx| Poll::Ready(reading.as_mut().poll(cx))).await {
            return read;
        }
        let time = self.0.limits.time;
        timeout(time, reading).await.unwrap_or(Err(NotRead::TooSlow(time)))
    }

    async fn read_all<B>(
        &self,
        body: &mut B,
        most: usize,
        announced: fn(&[u8]) -> Option<usize>,
    ) -> Result<Whole, NotRead>
    where
        B: Body + Unpin,
        B::Error: Into<Box<dyn StdError + Send + Sync>>,
    {
        let hint = body.size_hint().exact();
        let hint = hint.map(|length| usize::try_from(length).unwrap_or(usize::MAX));
        let mut announced_length = None;
        check_length(0, hint, most)?;
        let mut room = None;
        let mut whole = BytesMut::new();
        while let Some(frame) = body.frame().await {
            let Ok(mut data) = frame.map_err(|error| NotRead::Failed(error.into()))?.into_data()
            else {
                continue;
            };
            if whole.is_empty() {
                announced_length = announced(data.chunk());
            }
            let length = announced_length.or(hint);
            let received = whole.len() + data.remaining();
            check_length(received, length, most)?;
            let kept = length.map_or(received, |length| received.min(length));
            self.make_room(&mut room, kept, length.unwrap_or(most)).await?;
            let wanted = kept - whole.len();
            if whole.is_empty() && body.is_end_stream() {
                // Almost every body is a single piece, which is not copied.
                return Ok(Whole { bytes: data.copy_to_bytes(wanted), room });
            }
            if whole.is_empty() {
                whole.reserve(length.map_or(received, |length| length.min(BYTES_PER_STEP)));
            }
            whole.put(data.take(wanted));
            announced_length = announced_length.or_else(|| announced(&whole));
            whole.truncate(announced_length.unwrap_or(usize::MAX));
        }
        Ok(Whole { bytes: whole.freeze(), room })
    }

    /// Waits until there is room for the bytes that have come of a body, or of a message, if they are many. `most` is
    /// how many there may be in the end.
    pub(crate) async fn make_room(
        &self,
        room: &mut Option<Room>,
        bytes: usize,
        most: usize,
    ) -> Result<(), NotRead> {
        let has = room.as_ref().map_or(0, |room| room.pieces.num_permits());
        if bytes <= UNBUDGETED_BYTES || bytes <= has * PERMIT_BYTES {
            return Ok(());
        }
        let wanted = pieces(bytes.next_multiple_of(BYTES_PER_STEP).min(most));
        let more = self.pieces(wanted as usize - has).await?;
        match room {
            Some(room) => room.pieces.merge(more),
            None => *room = Some(Room { pieces: more }),
        }
        Ok(())
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
        // A caller that is too slow gets the reply earlier.
        let _ = timeout(self.0.limits.time, skipping).await;
    }

    /// Room for headers that are long. `None` for others, which are nearly all.
    pub(crate) fn headers(&self, headers: &HeaderMap) -> Result<Option<Room>, NotRead> {
        let field = |(name, value): (&HeaderName, &HeaderValue)| name.as_str().len() + value.len();
        let bytes = headers.iter().map(field).sum::<usize>();
        if bytes <= UNBUDGETED_BYTES {
            return Ok(None);
        }
        let pieces = self.0.budget.clone().try_acquire_many_owned(pieces(bytes));
        match pieces {
            Ok(pieces) => Ok(Some(Room { pieces })),
            Err(_) => Err(self.no_room()),
        }
    }

    /// Takes room for headers that are long. They keep it until they are dropped or
    /// [forgotten](forget_headers).
    pub(crate) fn admit(&self, head: &mut Parts) -> Result<(), NotRead> {
        if let Some(room) = self.headers(&head.headers)? {
            head.extensions.insert(Arc::new(room));
        }
        Ok(())
    }

    /// Waits for a part of the budget.
    async fn pieces(&self, count: usize) -> Result<OwnedSemaphorePermit, NotRead> {
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        let pieces = self.0.budget.clone().acquire_many_owned(count);
        match timeout(self.0.limits.wait, pieces).await {
            Ok(Ok(pieces)) => Ok(pieces),
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

/// Drops the headers of a call that may wait for hours, if they are long, and gives their room back. The one that the
/// log needs stays.
pub(crate) fn forget_headers(head: &mut Parts) {
    if head.extensions.remove::<Arc<Room>>().is_none() {
        return;
    }
    let trace = head.headers.get(TRACE).filter(|trace| trace.len() <= MAX_TRACE);
    // A copy: the value may be a part of the memory of all headers.
    let trace = trace.and_then(|trace| HeaderValue::from_bytes(trace.as_bytes()).ok());
    head.headers = trace.map(|trace| (TRACE, trace)).into_iter().collect::<HeaderMap>();
}

/// Refuses a body of which this much has come, if it is too long.
fn check_length(received: usize, length: Option<usize>, most: usize) -> Result<(), NotRead> {
    match length {
        Some(length) if length > most => Err(NotRead::TooLong(Some(length))),
        None if received > most => Err(NotRead::TooLong(None)),
        _ => Ok(()),
    }
}

fn pieces(bytes: usize) -> u32 {
    u32::try_from(bytes.div_ceil(PERMIT_BYTES)).unwrap_or(u32::MAX)
}

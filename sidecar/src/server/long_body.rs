//! Long bodies of responses, which end when their callers do not read them.

use std::{
    error::Error as StdError,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use tokio::time::Instant;

use super::unread::Unread;

/// Any error of a body.
type BoxError = Box<dyn StdError + Send + Sync>;

/// A body of more than this many bytes is long.
const LONG: u64 = 8 << 10;

/// How many bytes to give at a time. They count as read when the next piece is asked for.
const PIECE: usize = 8 << 10;

/// The body was not read for too long.
#[derive(Debug, thiserror::Error)]
#[error("the caller did not read the response")]
struct CallerStopped;

/// A long body, given in pieces.
pub(super) struct LongBody<B>(Unread<Pieces<B>>);

struct Pieces<B> {
    body: B,
    /// The part of the last frame that was not given yet.
    rest: Bytes,
}

/// Whether a body is long, as far as it knows.
pub(super) fn is_long(body: &impl Body) -> bool {
    body.size_hint().lower() > LONG
}

impl<B: Send + 'static> LongBody<B> {
    /// The body, which ends once no piece was asked for in a time, if there is one. Must then be called in a Tokio
    /// runtime.
    pub(super) fn new(body: B, patience: Option<Duration>) -> Self {
        let pieces = Pieces { body, rest: Bytes::new() };
        Self(Unread::new(pieces, Some(Instant::now()), patience, || {}))
    }
}

impl<B> Body for LongBody<B>
where
    B: Body<Data = Bytes, Error: Into<BoxError>> + Unpin,
{
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let polled = self.0.poll(|pieces| pieces.poll_next(cx));
        polled.unwrap_or_else(|| Poll::Ready(Some(Err(CallerStopped.into()))))
    }

    fn is_end_stream(&self) -> bool {
        self.0.look(|Pieces { body, rest }| rest.is_empty() && body.is_end_stream()) == Some(true)
    }

    fn size_hint(&self) -> SizeHint {
        self.0.look(Pieces::size_hint).unwrap_or_default()
    }
}

impl<B> Pieces<B>
where
    B: Body<Data = Bytes, Error: Into<BoxError>> + Unpin,
{
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let Self { body, rest } = self;
        if rest.is_empty() {
            let Some(frame) = ready!(Pin::new(body).poll_frame(cx)) else {
                return Poll::Ready(None);
            };
            match frame.map_err(Into::into)?.into_data() {
                Ok(data) => *rest = data,
                Err(other) => return Poll::Ready(Some(Ok(other))),
            }
        }
        // A piece that nobody reads would keep the memory of the whole body, so it is copied unless other responses need
        // that memory anyway.
        let is_shared = !rest.is_unique();
        let piece = rest.split_to(rest.len().min(PIECE));
        let piece = if is_shared { piece } else { Bytes::copy_from_slice(&piece) };
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn size_hint(&self) -> SizeHint {
        let (rest, of_body) = (self.rest.len() as u64, self.body.size_hint());
        let mut hint = SizeHint::new();
        hint.set_lower(of_body.lower() + rest);
        if let Some(upper) = of_body.upper() {
            hint.set_upper(upper + rest);
        }
        hint
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::{BodyExt, Full};
    use tokio::time::sleep;

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(60);

    fn bytes() -> Bytes {
        (0..20_000_u32).flat_map(u32::to_be_bytes).collect()
    }

    #[tokio::test]
    async fn the_pieces_are_the_whole_with_its_length() {
        assert!(is_long(&Full::new(bytes())));
        let shared = bytes();
        for whole in [shared.clone(), bytes()] {
            let body = LongBody::new(Full::new(whole), Some(PATIENCE));
            assert_eq!(body.size_hint().exact(), Some(shared.len() as u64));
            assert_eq!(body.collect().await.unwrap().to_bytes(), shared);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_nobody_reads_is_dropped() {
        let shared = bytes();
        let mut body = LongBody::new(Full::new(shared.clone()), Some(PATIENCE));
        sleep(PATIENCE / 2).await;
        let piece = body.frame().await.unwrap().unwrap().into_data().unwrap();
        assert_eq!(piece, shared[..PIECE]);
        drop(piece);
        sleep(PATIENCE / 2).await;
        assert!(!shared.is_unique());
        sleep(PATIENCE).await;
        assert!(shared.is_unique());
        assert!(!body.is_end_stream());
        assert_eq!(body.frame().await.unwrap().unwrap_err().to_string(), CallerStopped.to_string());
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_limit_it_waits() {
        let body = LongBody::new(Full::new(bytes()), None);
        sleep(PATIENCE * 10).await;
        assert_eq!(body.collect().await.unwrap().to_bytes(), bytes());
    }
}

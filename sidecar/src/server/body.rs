//! The bodies of requests and responses.

use std::{
    error::Error as StdError,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};

use super::{
    control::{InFlight, Incomplete},
    long_body::{LongBody, is_long},
    response_lifetime::Lasting,
};

/// The body of a request that the server received.
#[derive(Debug)]
pub struct RequestBody {
    incoming: Incoming,
    /// `None` once all of the body was received.
    incomplete: Option<Incomplete>,
}

impl RequestBody {
    pub(super) fn new(incoming: Incoming, incomplete: Option<Incomplete>) -> Self {
        Self { incoming, incomplete }
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let frame = ready!(Pin::new(&mut self.incoming).poll_frame(cx));
        if frame.is_none() || self.incoming.is_end_stream() {
            self.incomplete = None;
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}

/// The body of a response.
pub(super) struct ResponseBody<B> {
    content: Content<B>,
    /// The request, until this is dropped, if it is in flight as long as its response lasts.
    lasting: Option<(Lasting, InFlight)>,
}

enum Content<B> {
    /// The response has only a head.
    None,
    Short(B),
    Long(LongBody<B>),
}

impl<B: Body + Send + 'static> ResponseBody<B> {
    /// `patience` is for how long a long body may be left unread, if there is such a limit.
    pub(super) fn new(
        body: B,
        lasting: Option<(Lasting, InFlight)>,
        patience: Option<Duration>,
    ) -> Self {
        if let Some((_, in_flight)) = &lasting {
            in_flight.lasts();
        }
        let content = match is_long(&body) {
            true => Content::Long(LongBody::new(body, patience)),
            false => Content::Short(body),
        };
        let mut new = Self { content, lasting };
        new.look();
        new
    }
}

impl<B> ResponseBody<B> {
    /// The body of a response that ends after its head.
    pub(super) fn none() -> Self {
        Self { content: Content::None, lasting: None }
    }

    /// Checks whether the caller has asked for something, and so waits for the server.
    fn look(&mut self) {
        if let Some((lasting, in_flight)) = &mut self.lasting
            && lasting.is_asked()
        {
            in_flight.ends_body();
        }
    }
}

impl<B> Body for ResponseBody<B>
where
    B: Body<Data = Bytes, Error: Into<Box<dyn StdError + Send + Sync>>> + Unpin,
{
    type Data = Bytes;
    type Error = Box<dyn StdError + Send + Sync>;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let polled = match &mut self.content {
            Content::None => return Poll::Ready(None),
            Content::Short(body) => Pin::new(body).poll_frame(cx).map_err(Into::into),
            Content::Long(body) => Pin::new(body).poll_frame(cx),
        };
        self.look();
        polled
    }

    fn is_end_stream(&self) -> bool {
        match &self.content {
            Content::None => true,
            Content::Short(body) => body.is_end_stream(),
            Content::Long(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.content {
            Content::None => SizeHint::with_exact(0),
            Content::Short(body) => body.size_hint(),
            Content::Long(body) => body.size_hint(),
        }
    }
}

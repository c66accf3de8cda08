//! The bodies of requests and responses.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};

use super::{
    control::{InFlight, Incomplete},
    lasting::Lasting,
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
    /// `None`: the response has only a head.
    body: Option<B>,
    /// The request, until this is dropped, if it is in flight as long as its response lasts.
    lasting: Option<(Lasting, InFlight)>,
}

impl<B> ResponseBody<B> {
    pub(super) fn new(body: B, lasting: Option<(Lasting, InFlight)>) -> Self {
        if let Some((_, in_flight)) = &lasting {
            in_flight.lasts();
        }
        let mut new = Self { body: Some(body), lasting };
        new.look();
        new
    }

    /// The body of a response that ends after its head.
    pub(super) fn none() -> Self {
        Self { body: None, lasting: None }
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

impl<B: Body + Unpin> Body for ResponseBody<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let Some(body) = &mut self.body else { return Poll::Ready(None) };
        let polled = Pin::new(body).poll_frame(cx);
        self.look();
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or(SizeHint::with_exact(0), Body::size_hint)
    }
}

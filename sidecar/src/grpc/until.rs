//! Bodies that end before their inner body does.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use hyper::{
    HeaderMap,
    body::{Body, Frame, SizeHint},
};
use tonic::{Status, body::Body as GrpcBody};

/// The body, which ends as soon as `end` yields a status, and then drops its content.
pub(super) fn until(
    body: GrpcBody,
    end: impl Future<Output = Status> + Send + 'static,
) -> GrpcBody {
    GrpcBody::new(Until { body: Some(body), end: Box::pin(end) })
}

struct Until {
    /// `None` after the end.
    body: Option<GrpcBody>,
    end: Pin<Box<dyn Future<Output = Status> + Send>>,
}

impl Body for Until {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let this = &mut *self;
        let Some(body) = &mut this.body else {
            return Poll::Ready(None);
        };
        if let Poll::Ready(status) = this.end.as_mut().poll(cx) {
            this.body = None;
            return Poll::Ready(Some(Ok(trailers(&status))));
        }
        Pin::new(body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(|body| body.is_end_stream())
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::default()
    }
}

/// The end of a response.
pub(super) fn trailers(status: &Status) -> Frame<Bytes> {
    let mut trailers = HeaderMap::with_capacity(2);
    // It fails only for a message that cannot be a header, which is left out then.
    let _ = status.add_header(&mut trailers);
    Frame::trailers(trailers)
}

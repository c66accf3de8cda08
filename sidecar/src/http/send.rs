//! From a reply to a response.

use std::{borrow::Cow, convert::Infallible, pin::Pin};

use bytes::Bytes;
use futures_util::{Stream, StreamExt, stream::BoxStream};
use holdfast_dapr_api::Reply;
use http_body_util::{Either, Full, StreamBody};
use hyper::{
    Response, StatusCode,
    body::Frame,
    header::{CACHE_CONTROL, CONTENT_TYPE, HeaderName, HeaderValue},
};

use crate::{
    lasting::unread_stream::UnreadStream,
    server::{Lasting, Parting},
};

/// The body of a response: one that is complete, or one that lasts.
pub type ResponseBody = Either<Full<Bytes>, Pin<Box<StreamBody<Lines>>>>;

type Lines = BoxStream<'static, Result<Frame<Bytes>, Infallible>>;

/// The response with the reply's status, headers and body.
pub(crate) fn response(reply: Reply) -> Response<ResponseBody> {
    let body = match reply.body {
        Cow::Borrowed(body) => Bytes::from_static(body),
        Cow::Owned(body) => Bytes::from(body),
    };
    let mut response = Response::new(ResponseBody::Left(Full::new(body)));
    *response.status_mut() =
        StatusCode::from_u16(reply.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let content_type = reply.content_type.map(HeaderValue::from_static);
    let other = reply.header.and_then(|(name, value)| {
        let value = match value {
            Cow::Borrowed(value) => HeaderValue::from_static(value),
            Cow::Owned(value) => HeaderValue::try_from(value).ok()?,
        };
        Some((HeaderName::from_static(name), value))
    });
    let content_type = content_type.map(|value| (CONTENT_TYPE, value));
    response.headers_mut().extend(content_type.into_iter().chain(other));
    response
}

/// The response with a JSON document.
pub(super) fn document(json: Bytes) -> Response<ResponseBody> {
    let mut response = Response::new(ResponseBody::Left(Full::new(json)));
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(CONTENT_TYPE, json);
    response
}

/// A response that lasts as long as there are lines and the caller reads them. `parting` says why the lines are
/// dropped.
pub(crate) fn lasting(
    content_type: &'static str,
    lines: impl Stream<Item = Bytes> + Send + 'static,
    parting: Parting,
) -> Response<ResponseBody> {
    let frames =
        UnreadStream::end(lines, parting.clone()).map(|line| Ok(Frame::data(line))).boxed();
    let mut response = Response::new(ResponseBody::Right(Box::pin(StreamBody::new(frames))));
    response.headers_mut().extend([
        (CONTENT_TYPE, HeaderValue::from_static(content_type)),
        (CACHE_CONTROL, HeaderValue::from_static("no-store")),
        // Otherwise nginx buffers the response.
        (HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no")),
    ]);
    response.extensions_mut().insert(Lasting::until(parting));
    response
}

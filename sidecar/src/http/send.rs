//! From a reply to a response.

use std::borrow::Cow;

use bytes::Bytes;
use holdfast_dapr_api::Reply;
use http_body_util::Full;
use hyper::{
    Response, StatusCode,
    header::{CONTENT_TYPE, HeaderName, HeaderValue},
};

/// The response with the reply's status, headers and body.
pub(super) fn response(reply: Reply) -> Response<Full<Bytes>> {
    let body = match reply.body {
        Cow::Borrowed(body) => Bytes::from_static(body),
        Cow::Owned(body) => Bytes::from(body),
    };
    let mut response = Response::new(Full::new(body));
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

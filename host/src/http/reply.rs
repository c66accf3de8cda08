//! Responses, in the few forms that there are.

use bytes::Bytes;
use http_body_util::Full;
use hyper::{
    Response, StatusCode,
    header::{CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER},
};
use serde::Serialize;

/// All bodies are at hand as a whole, so each response has its `Content-Length`.
pub(super) type Reply = Response<Full<Bytes>>;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ErrorBody<'a> {
    error_code: &'a str,
    message: &'a str,
}

pub(super) fn json(status: StatusCode, body: impl Into<Bytes>) -> Reply {
    with_type(status, HeaderValue::from_static("application/json"), body.into())
}

/// An error in Dapr's form.
pub(super) fn error(status: StatusCode, error_code: &str, message: &str) -> Reply {
    let body = serde_json::to_vec(&ErrorBody { error_code, message });
    // Two strings are always JSON.
    json(status, body.unwrap_or_default())
}

pub(super) fn empty() -> Reply {
    let mut reply = Reply::default();
    *reply.status_mut() = StatusCode::NO_CONTENT;
    reply
}

/// What Dapr, which passes other paths on to applications, says of a path that names none.
pub(super) fn not_found() -> Reply {
    let message = "failed getting app id either from the URL path or the header dapr-app-id";
    error(StatusCode::NOT_FOUND, "ERR_DIRECT_INVOKE", message)
}

/// As a router of Go's answers what it has not.
pub(super) fn not_public() -> Reply {
    text(StatusCode::NOT_FOUND, "404 page not found\n")
}

/// As Go's `http.Error` writes it.
pub(super) fn invalid_token() -> Reply {
    const NO_SNIFFING: (HeaderName, HeaderValue) =
        (HeaderName::from_static("x-content-type-options"), HeaderValue::from_static("nosniff"));
    let mut reply = text(StatusCode::UNAUTHORIZED, "invalid api token\n");
    reply.headers_mut().extend([NO_SNIFFING]);
    reply
}

/// As Go's HTTP server answers what it cannot read.
pub(super) fn bad_request() -> Reply {
    text(StatusCode::BAD_REQUEST, "400 Bad Request")
}

pub(super) fn body_not_read(cause: &str) -> Reply {
    let message = format!("failed to read request body: {cause}");
    error(StatusCode::BAD_REQUEST, "ERR_BODY_READ", &message)
}

pub(super) fn overloaded(message: &str) -> Reply {
    let mut reply = error(StatusCode::SERVICE_UNAVAILABLE, "ERR_LOCK_OVERLOADED", message);
    reply.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
    reply
}

fn text(status: StatusCode, body: &'static str) -> Reply {
    let text = HeaderValue::from_static("text/plain; charset=utf-8");
    with_type(status, text, Bytes::from_static(body.as_bytes()))
}

fn with_type(status: StatusCode, content_type: HeaderValue, body: Bytes) -> Reply {
    let mut reply = Response::new(Full::new(body));
    *reply.status_mut() = status;
    reply.headers_mut().insert(CONTENT_TYPE, content_type);
    reply
}

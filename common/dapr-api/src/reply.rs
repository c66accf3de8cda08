//! Replies, in the few forms that there are.

use alloc::{borrow::Cow, format, vec::Vec};

use serde::Serialize;

/// A reply. Its body is at hand as a whole, so whoever sends it knows the `Content-Length`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The HTTP status.
    pub status: u16,
    /// The `Content-Type`; none where there is no body.
    pub content_type: Option<&'static str>,
    /// One more header, by its name in lower case.
    pub header: Option<(&'static str, &'static str)>,
    /// The body.
    pub body: Cow<'static, [u8]>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ErrorBody<'a> {
    error_code: &'a str,
    message: &'a str,
}

/// A document.
pub fn json(status: u16, body: Vec<u8>) -> Reply {
    Reply { status, content_type: Some("application/json"), header: None, body: Cow::Owned(body) }
}

/// An error in Dapr's form.
pub fn error(status: u16, error_code: &str, message: &str) -> Reply {
    let body = serde_json::to_vec(&ErrorBody { error_code, message });
    // Two strings are always JSON.
    json(status, body.unwrap_or_default())
}

/// Nothing to say, and nothing wrong.
pub fn empty() -> Reply {
    Reply { status: 204, content_type: None, header: None, body: Cow::Borrowed(b"") }
}

/// What Dapr, which passes other paths on to applications, says of a path that names none.
pub fn not_found() -> Reply {
    let message = "failed getting app id either from the URL path or the header dapr-app-id";
    error(404, "ERR_DIRECT_INVOKE", message)
}

/// As a router of Go's answers what it has not.
pub fn not_public() -> Reply {
    text(404, "404 page not found\n")
}

/// As Go's `http.Error` writes it.
pub fn invalid_token() -> Reply {
    let header = Some(("x-content-type-options", "nosniff"));
    Reply { header, ..text(401, "invalid api token\n") }
}

/// As Go's HTTP server answers what it cannot read.
pub fn bad_request() -> Reply {
    text(400, "400 Bad Request")
}

/// The body broke off, or cannot be read for another reason.
pub fn body_not_read(cause: &str) -> Reply {
    error(400, "ERR_BODY_READ", &format!("failed to read request body: {cause}"))
}

/// The body is longer than [`body::MAX`](crate::body::MAX).
pub fn body_too_large() -> Reply {
    body_not_read("stream too large")
}

/// The metadata cannot be written.
pub fn not_encoded(cause: &serde_json::Error) -> Reply {
    error(500, "ERR_INTERNAL", &format!("failed to encode response as JSON: {cause}"))
}

/// There are too many calls just now.
pub fn overloaded(message: &str) -> Reply {
    let header = Some(("retry-after", "1"));
    Reply { header, ..error(503, "ERR_LOCK_OVERLOADED", message) }
}

fn text(status: u16, body: &'static str) -> Reply {
    let content_type = Some("text/plain; charset=utf-8");
    Reply { status, content_type, header: None, body: Cow::Borrowed(body.as_bytes()) }
}

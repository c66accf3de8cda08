//! Replies.

use alloc::{borrow::Cow, format, string::ToString, vec::Vec};

use serde::Serialize;

/// A reply with a whole body, whose length is the `Content-Length`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The HTTP status.
    pub status: u16,
    /// The `Content-Type`; `None` without a body.
    pub content_type: Option<&'static str>,
    /// Another header, with its name in lower case.
    pub header: Option<(&'static str, Cow<'static, str>)>,
    /// The body.
    pub body: Cow<'static, [u8]>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ErrorBody<'a> {
    error_code: &'a str,
    message: &'a str,
}

/// A JSON document.
pub fn json(status: u16, body: Vec<u8>) -> Reply {
    Reply { status, content_type: Some("application/json"), header: None, body: Cow::Owned(body) }
}

impl Reply {
    /// Adds the fencing token of a try-lock to the reply.
    #[must_use]
    pub fn with_fencing_token(self, fencing_token: u64) -> Self {
        let header = Some((crate::FENCING_TOKEN_HEADER, Cow::Owned(fencing_token.to_string())));
        Self { header, ..self }
    }
}

/// An error in Dapr's form.
pub fn error(status: u16, error_code: &str, message: &str) -> Reply {
    let body = serde_json::to_vec(&ErrorBody { error_code, message });
    // Two strings always serialize.
    json(status, body.unwrap_or_default())
}

/// Success without a body.
pub fn empty() -> Reply {
    Reply { status: 204, content_type: None, header: None, body: Cow::Borrowed(b"") }
}

/// The call is unknown. Dapr forwards unknown paths to an application, and replies that this path names none.
pub fn not_found() -> Reply {
    let message = "failed getting app id either from the URL path or the header dapr-app-id";
    error(404, "ERR_DIRECT_INVOKE", message)
}

/// The public port does not have the path. Go's router gives this reply for an unknown path.
pub fn not_public() -> Reply {
    text(404, "404 page not found\n")
}

/// The API token is missing or wrong, in the form of Go's `http.Error`.
pub fn invalid_token() -> Reply {
    let header = Some(("x-content-type-options", "nosniff".into()));
    Reply { header, ..text(401, "invalid api token\n") }
}

/// The path has a broken escape, or the request has several hosts. Go's HTTP server gives this reply and the next four.
pub fn bad_request() -> Reply {
    last(text(400, "400 Bad Request"))
}

/// The request names no host.
pub fn missing_host() -> Reply {
    last(text(400, "400 Bad Request: missing required Host header"))
}

/// The Host header is malformed.
pub fn malformed_host() -> Reply {
    last(text(400, "400 Bad Request: malformed Host header"))
}

/// The body has a transfer encoding other than `chunked`.
pub fn unsupported_encoding() -> Reply {
    last(text(501, "Unsupported transfer encoding"))
}

/// The `Expect` header asks for something other than `100-continue`.
pub fn expectation_failed() -> Reply {
    last(Reply { status: 417, ..empty() })
}

/// The connection is closed after the reply.
fn last(reply: Reply) -> Reply {
    Reply { header: Some(("connection", "close".into())), ..reply }
}

/// The body cannot be read, or ends early.
pub fn body_not_read(cause: &str) -> Reply {
    error(400, "ERR_BODY_READ", &format!("failed to read request body: {cause}"))
}

/// The body does not arrive in time.
pub fn body_too_slow(cause: &str) -> Reply {
    Reply { status: 408, ..body_not_read(cause) }
}

/// The body is longer than [`body::MAX_BODY_BYTES`](crate::body::MAX_BODY_BYTES).
pub fn body_too_large() -> Reply {
    body_not_read("stream too large")
}

/// The metadata has no room for an entry. Dapr knows no such limit.
pub fn metadata_not_set(cause: &str) -> Reply {
    error(400, "ERR_METADATA_LIMIT", cause)
}

/// The metadata cannot be encoded.
pub fn not_encoded(cause: &serde_json::Error) -> Reply {
    error(500, "ERR_INTERNAL", &format!("failed to encode response as JSON: {cause}"))
}

/// Too many calls are running and waiting.
pub fn overloaded(message: &str) -> Reply {
    unavailable("ERR_LOCK_OVERLOADED", message)
}

/// The server is shutting down, and grants no more locks.
pub fn shutting_down(message: &str) -> Reply {
    unavailable("ERR_LOCK_SHUTTING_DOWN", message)
}

/// Nothing was done, and the caller may try again.
fn unavailable(error_code: &str, message: &str) -> Reply {
    let header = Some(("retry-after", "1".into()));
    Reply { header, ..error(503, error_code, message) }
}

fn text(status: u16, body: &'static str) -> Reply {
    let content_type = Some("text/plain; charset=utf-8");
    Reply { status, content_type, header: None, body: Cow::Borrowed(body.as_bytes()) }
}

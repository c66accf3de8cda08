//! Reads the body of a request.

use alloc::vec::Vec;
use core::str;

use holdfast_dapr_api::{
    Reply,
    body::{MAX_BODY_BYTES, is_refused_unread},
    reply,
};
use wasip2::{
    http::types::{IncomingBody, IncomingRequest},
    io::streams::{InputStream, StreamError},
};

/// The size of one read, in bytes.
const MAX_READ: u64 = 64 << 10;

/// Reads the whole body. The error is the reply to a body that is too large or cannot be read.
pub(crate) fn read(request: &IncomingRequest) -> Result<Vec<u8>, Reply> {
    let length = content_length(request);
    if length.is_some_and(is_refused_unread) {
        return Err(reply::body_too_large());
    }
    let unreadable = |()| reply::body_not_read("it was read before");
    let body = request.consume().map_err(unreadable)?;
    let outcome = body.stream().map_err(unreadable).and_then(|stream| collect(&stream, length));
    IncomingBody::finish(body);
    outcome
}

fn collect(stream: &InputStream, length: Option<u64>) -> Result<Vec<u8>, Reply> {
    let length = length.and_then(|length| usize::try_from(length).ok());
    let mut whole = Vec::with_capacity(length.unwrap_or_default().min(MAX_BODY_BYTES));
    while let Some(more) = next(stream)? {
        if whole.len() + more.len() > MAX_BODY_BYTES {
            drop(whole);
            skip(stream, more.len());
            return Err(reply::body_too_large());
        }
        whole.extend_from_slice(&more);
    }
    Ok(whole)
}

/// Reads and discards up to `MAX_BODY_BYTES`, because some clients read the reply only after they have sent
/// the whole body.
fn skip(stream: &InputStream, mut skipped: usize) {
    while skipped < MAX_BODY_BYTES
        && let Ok(Some(more)) = next(stream)
    {
        skipped += more.len();
    }
}

/// The next bytes, or `None` at the end.
fn next(stream: &InputStream) -> Result<Option<Vec<u8>>, Reply> {
    match stream.blocking_read(MAX_READ) {
        Ok(more) => Ok(Some(more)),
        Err(StreamError::Closed) => Ok(None),
        Err(StreamError::LastOperationFailed(error)) => {
            Err(reply::body_not_read(&error.to_debug_string()))
        }
    }
}

/// The `content-length` of the request.
fn content_length(request: &IncomingRequest) -> Option<u64> {
    let lengths = request.headers().get("content-length");
    str::from_utf8(lengths.first()?).ok()?.trim().parse().ok()
}

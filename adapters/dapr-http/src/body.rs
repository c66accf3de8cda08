//! The reading of a request's body.

use alloc::vec::Vec;
use core::str;

use holdfast_dapr_api::{
    Reply,
    body::{MAX, is_absurd},
    reply,
};
use wasip2::{
    http::types::{IncomingBody, IncomingRequest},
    io::streams::{InputStream, StreamError},
};

/// The most that one read may bring, in bytes.
const READ: u64 = 64 << 10;

/// The whole body, or the reply that refuses it.
pub(crate) fn read(request: &IncomingRequest) -> Result<Vec<u8>, Reply> {
    let announced = announced(request);
    if announced.is_some_and(is_absurd) {
        return Err(reply::body_too_large());
    }
    let unreadable = |()| reply::body_not_read("it was read before");
    let body = request.consume().map_err(unreadable)?;
    let outcome = body.stream().map_err(unreadable).and_then(|stream| collect(&stream, announced));
    IncomingBody::finish(body);
    outcome
}

fn collect(stream: &InputStream, announced: Option<u64>) -> Result<Vec<u8>, Reply> {
    let announced = announced.and_then(|length| usize::try_from(length).ok());
    let mut whole = Vec::with_capacity(announced.unwrap_or_default().min(MAX));
    while let Some(more) = next(stream)? {
        if whole.len() + more.len() > MAX {
            drop(whole);
            skip(stream, more.len());
            return Err(reply::body_too_large());
        }
        whole.extend_from_slice(&more);
    }
    Ok(whole)
}

/// Reads on for a while and forgets it, for a client that looks for the answer only when all is
/// sent.
fn skip(stream: &InputStream, mut skipped: usize) {
    while skipped < MAX
        && let Ok(Some(more)) = next(stream)
    {
        skipped += more.len();
    }
}

/// What comes next; nothing at the end.
fn next(stream: &InputStream) -> Result<Option<Vec<u8>>, Reply> {
    match stream.blocking_read(READ) {
        Ok(more) => Ok(Some(more)),
        Err(StreamError::Closed) => Ok(None),
        Err(StreamError::LastOperationFailed(error)) => {
            Err(reply::body_not_read(&error.to_debug_string()))
        }
    }
}

/// How long the body is to be, in bytes, as far as the request says.
fn announced(request: &IncomingRequest) -> Option<u64> {
    let lengths = request.headers().get("content-length");
    str::from_utf8(lengths.first()?).ok()?.trim().parse().ok()
}

//! Sends a reply.

use alloc::{
    string::{String, ToString},
    vec::Vec,
};

use holdfast_dapr_api::Reply;
use wasip2::http::types::{ErrorCode, Fields, OutgoingBody, OutgoingResponse, ResponseOutparam};

/// The most bytes that `blocking-write-and-flush` takes at once.
const MAX_WRITE: usize = 4096;

pub(crate) fn send(out: ResponseOutparam, reply: &Reply) {
    let Some((response, body)) = response(reply) else {
        let problem = String::from("the runtime refused the response headers");
        return ResponseOutparam::set(out, Err(ErrorCode::InternalError(Some(problem))));
    };
    // A runtime may wait for the head before it takes the body.
    ResponseOutparam::set(out, Ok(response));
    // A failure means that the caller is gone, so nobody could receive a report.
    if write(&body, &reply.body).is_some() {
        let _ = OutgoingBody::finish(body, None);
    }
}

fn response(reply: &Reply) -> Option<(OutgoingResponse, OutgoingBody)> {
    let mut headers: Vec<(String, Vec<u8>)> = Vec::new();
    let mut add = |name: &str, value: &str| headers.push((name.into(), value.into()));
    if let Some(content_type) = reply.content_type {
        add("content-type", content_type);
        add("content-length", &reply.body.len().to_string());
    }
    if let Some((name, value)) = &reply.header {
        add(name, value);
    }
    let response = OutgoingResponse::new(Fields::from_list(&headers).ok()?);
    response.set_status_code(reply.status).ok()?;
    let body = response.body().ok()?;
    Some((response, body))
}

/// Writes the whole body; `None` if that fails.
fn write(body: &OutgoingBody, bytes: &[u8]) -> Option<()> {
    let stream = body.write().ok()?;
    for part in bytes.chunks(MAX_WRITE) {
        stream.blocking_write_and_flush(part).ok()?;
    }
    Some(())
}

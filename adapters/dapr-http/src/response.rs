//! The sending of a reply.

use alloc::{
    string::{String, ToString},
    vec::Vec,
};

use holdfast_dapr_api::Reply;
use wasip2::http::types::{ErrorCode, Fields, OutgoingBody, OutgoingResponse, ResponseOutparam};

/// The most that one write may carry, in bytes, by the definition of `blocking-write-and-flush`.
const WRITE: usize = 4096;

pub(crate) fn send(out: ResponseOutparam, reply: &Reply) {
    let Some((response, body)) = response(reply) else {
        let problem = String::from("the runtime takes no response with these headers");
        return ResponseOutparam::set(out, Err(ErrorCode::InternalError(Some(problem))));
    };
    // A runtime may take the body only when it has the head.
    ResponseOutparam::set(out, Ok(response));
    // Neither failure has anybody left to hear of it: the caller is gone.
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
    if let Some((name, value)) = reply.header {
        add(name, value);
    }
    let response = OutgoingResponse::new(Fields::from_list(&headers).ok()?);
    response.set_status_code(reply.status).ok()?;
    let body = response.body().ok()?;
    Some((response, body))
}

/// Writes the whole body; `None` where it cannot be.
fn write(body: &OutgoingBody, bytes: &[u8]) -> Option<()> {
    let stream = body.write().ok()?;
    for part in bytes.chunks(WRITE) {
        stream.blocking_write_and_flush(part).ok()?;
    }
    Some(())
}

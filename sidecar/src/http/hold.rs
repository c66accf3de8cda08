//! Holds over HTTP: each event is a line of JSON.

use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use holdfast::LeaseOptions;
use holdfast_rules::{json::Body, json::duration, types::Error};
use holdfast_timing::milliseconds;
use hyper::Response;
use serde_json::{Value, json};

use super::send::{self, ResponseBody};
use crate::lasting::hold::{Event, Hold, HoldTerms};

/// The resource and the terms of the hold, from the body of a request.
pub(super) fn read(body: &[u8]) -> Result<(String, HoldTerms), Error> {
    let Body { resource_id, lock_owner, ttl, wait, fenced, max_hold, .. } = Body::read_hold(body)?;
    let time = Duration::from_millis;
    let mut options = LeaseOptions::new(time(ttl)).wait(time(wait));
    options.owner = Some(lock_owner.into_owned()).filter(|owner| !owner.is_empty());
    options.fenced = fenced;
    Ok((resource_id.into_owned(), HoldTerms { options, max_hold: max_hold.map(time) }))
}

/// The response that lasts as long as the hold.
pub(super) fn response(hold: Hold) -> Response<ResponseBody> {
    let parting = hold.parting().clone();
    send::lasting("application/x-ndjson", hold.map(|event| line(&event)), parting)
}

/// The event in the JSON form of protocol buffers.
fn line(event: &Event) -> Bytes {
    let object = match event {
        Event::NotHeld => json!({"notHeld": {}}),
        Event::Held { owner, fencing_token, valid_for } => {
            let mut held = json!({"lockOwner": owner, "validFor": text(*valid_for)});
            if let Some(token) = fencing_token {
                held["fencingToken"] = Value::String(token.to_string());
            }
            json!({"held": held})
        }
        Event::Renewed(time) => json!({"renewed": {"validFor": text(*time)}}),
        Event::Ending(time) => json!({"ending": {"validFor": text(*time)}}),
        Event::Lost { cause, message, valid_for } => {
            let (cause, time) = (cause.as_str_name(), text(*valid_for));
            json!({"lost": {"cause": cause, "message": message, "validFor": time}})
        }
    };
    format!("{object}\n").into()
}

fn text(time: Duration) -> String {
    duration(milliseconds(time))
}

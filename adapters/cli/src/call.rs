//! Calls the lock component and turns its answer into text and an exit code.

use alloc::{format, string::String, vec::Vec};

use serde::Serialize;

use crate::{
    arguments::{Call, Verb},
    bindings::{
        json, lock,
        types::{Error, UnlockStatus},
    },
    exit::Exit,
};

/// The text for stdout, and the exit code.
type Output = (String, Exit);

/// Makes the call. The error is a message for a person.
pub(crate) fn run(call: &Call) -> Result<Output, String> {
    let Call { verb, store, resource, owner, json } = call;
    match (verb, json) {
        (Verb::TryLock { expiry }, false) => {
            let taken = lock::try_lock(store, resource, owner, *expiry).map_err(message)?;
            Ok((format!("{taken}\n"), if taken { Exit::Done } else { Exit::NotDone }))
        }
        (Verb::Unlock, false) => {
            let (name, exit) = match lock::unlock(store, resource, owner).map_err(message)? {
                UnlockStatus::Success => ("success", Exit::Done),
                UnlockStatus::LockDoesNotExist => ("lock-does-not-exist", Exit::NotDone),
                UnlockStatus::LockBelongsToOthers => ("lock-belongs-to-others", Exit::NotDone),
                UnlockStatus::InternalError => ("internal-error", Exit::Failed),
            };
            Ok((format!("{name}\n"), exit))
        }
        (Verb::TryLock { expiry }, true) => {
            from_reply(json::try_lock(store, &body(call, Some(*expiry))?))
        }
        (Verb::Unlock, true) => from_reply(json::unlock(store, &body(call, None)?)),
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Body<'a> {
    resource_id: &'a str,
    lock_owner: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    expiry_in_seconds: Option<i32>,
}

/// The body that an HTTP client would send.
fn body(call: &Call, expiry_in_seconds: Option<i32>) -> Result<Vec<u8>, String> {
    let body = Body { resource_id: &call.resource, lock_owner: &call.owner, expiry_in_seconds };
    serde_json::to_vec(&body).map_err(|problem| format!("cannot encode the request: {problem}"))
}

/// Prints the body of the reply unchanged.
fn from_reply(reply: json::Reply) -> Result<Output, String> {
    let exit = match (reply.status, &reply.body[..]) {
        (200, br#"{"success":true}"# | br#"{"status":0}"#) => Exit::Done,
        (200, br#"{"success":false}"# | br#"{"status":1}"# | br#"{"status":2}"#) => Exit::NotDone,
        _ => Exit::Failed,
    };
    let body = String::from_utf8(reply.body).map_err(|_| "the reply is not JSON")?;
    Ok((body, exit))
}

/// The message of an error; every case has one.
fn message(error: Error) -> String {
    match error {
        Error::StoreNotConfigured(message)
        | Error::StoreNotFound(message)
        | Error::ResourceIdEmpty(message)
        | Error::LockOwnerEmpty(message)
        | Error::ExpiryNotPositive(message)
        | Error::ResourceIdReserved(message)
        | Error::StoreFailed(message)
        | Error::MalformedRequest(message)
        | Error::RequestTooLarge(message)
        | Error::Other(message) => message,
        Error::Indeterminate(outcome) => outcome.message,
    }
}

//! The call, and what to say of its outcome.

use alloc::{format, string::String, vec::Vec};

use serde::Serialize;

use crate::{
    arguments::{Command, Lock},
    bindings::{
        json, lock,
        types::{Error, UnlockStatus},
    },
    exit::Exit,
};

/// What to print, and what to exit with.
type Answer = (String, Exit);

/// Calls; the error is the message for a person.
pub(crate) fn call(command: &Command) -> Result<Answer, String> {
    match command {
        Command::TryLock { lock, expiry } if lock.json => {
            let body = body(lock, Some(*expiry))?;
            raw(json::try_lock(&lock.store, &body))
        }
        Command::Unlock { lock } if lock.json => raw(json::unlock(&lock.store, &body(lock, None)?)),
        Command::TryLock { lock: Lock { store, resource, owner, .. }, expiry } => {
            let taken = lock::try_lock(store, resource, owner, *expiry).map_err(message)?;
            Ok((format!("{taken}\n"), if taken { Exit::Yes } else { Exit::No }))
        }
        Command::Unlock { lock: Lock { store, resource, owner, .. } } => {
            let (name, exit) = match lock::unlock(store, resource, owner).map_err(message)? {
                UnlockStatus::Success => ("success", Exit::Yes),
                UnlockStatus::LockDoesNotExist => ("lock-does-not-exist", Exit::No),
                UnlockStatus::LockBelongsToOthers => ("lock-belongs-to-others", Exit::No),
                UnlockStatus::InternalError => ("internal-error", Exit::Trouble),
            };
            Ok((format!("{name}\n"), exit))
        }
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

fn body(lock: &Lock, expiry_in_seconds: Option<i32>) -> Result<Vec<u8>, String> {
    let body = Body { resource_id: &lock.resource, lock_owner: &lock.owner, expiry_in_seconds };
    serde_json::to_vec(&body).map_err(|problem| format!("the request cannot be written: {problem}"))
}

/// The reply of the HTTP API, byte for byte.
fn raw(reply: json::Reply) -> Result<Answer, String> {
    let exit = match (reply.status, &reply.body[..]) {
        (200, br#"{"success":true}"# | br#"{"status":0}"#) => Exit::Yes,
        (200, br#"{"success":false}"# | br#"{"status":1}"# | br#"{"status":2}"#) => Exit::No,
        _ => Exit::Trouble,
    };
    let body = String::from_utf8(reply.body).map_err(|_| "the reply is not JSON")?;
    Ok((body, exit))
}

/// The message that every case carries.
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

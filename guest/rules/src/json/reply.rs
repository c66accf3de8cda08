//! Replies, byte for byte as Dapr 1.18 gives them. Those about leases have the JSON form of protocol buffers.

use alloc::{
    string::{String, ToString},
    vec::Vec,
};

use serde::ser::{Serialize, SerializeMap, Serializer};

use super::duration;
use crate::{
    message,
    types::{Error, Extended, Holding, Lease, Reply, UnlockStatus, Verb},
};

/// The reply to a try-lock that has a verdict.
pub(super) fn held(held: bool) -> Reply {
    let body: &[u8] = if held { br#"{"success":true}"# } else { br#"{"success":false}"# };
    Reply { status: 200, body: body.to_vec() }
}

/// The reply to an unlock that has a verdict.
pub(super) fn status(status: UnlockStatus) -> Reply {
    let body: &[u8] = match status {
        UnlockStatus::Success => br#"{"status":0}"#,
        UnlockStatus::LockDoesNotExist => br#"{"status":1}"#,
        UnlockStatus::LockBelongsToOthers => br#"{"status":2}"#,
        UnlockStatus::InternalError => br#"{"status":3}"#,
    };
    Reply { status: 200, body: body.to_vec() }
}

/// The reply to an acquire that has a verdict.
pub(super) fn lease(lease: Option<Lease>) -> Reply {
    let Some(Lease { owner, fencing_token, valid_for }) = lease else { return held(false) };
    body(&[
        ("success", Value::True),
        ("lockOwner", Value::Text(owner)),
        ("fencingToken", number(fencing_token)),
        ("validFor", Value::Text(duration::write(valid_for))),
    ])
}

/// The reply to an extend that has a verdict. Its status numbers are the ones of an unlock.
pub(super) fn extended(extended: Extended) -> Reply {
    match extended {
        Extended::Extended(time) => {
            body(&[("status", Value::Zero), ("validFor", Value::Text(duration::write(time)))])
        }
        Extended::Gone => status(UnlockStatus::LockDoesNotExist),
        Extended::HeldByOther => status(UnlockStatus::LockBelongsToOthers),
    }
}

/// The reply to an inspect that has a verdict.
pub(super) fn holding(holding: Option<Holding>) -> Reply {
    let Some(Holding { owner, time_left, fencing_token }) = holding else {
        return body(&[("held", Value::False)]);
    };
    body(&[
        ("held", Value::True),
        ("lockOwner", Value::Text(owner)),
        ("timeLeft", time_left.map_or(Value::Missing, |time| Value::Text(duration::write(time)))),
        ("fencingToken", number(fencing_token)),
    ])
}

/// The reply to a call that has no verdict.
pub fn refusal(verb: Verb, error: &Error) -> Reply {
    let failed = match verb {
        Verb::TryLock => "ERR_TRY_LOCK",
        Verb::Unlock => "ERR_UNLOCK",
        Verb::Acquire => "ERR_LEASE_ACQUIRE",
        Verb::Extend => "ERR_LEASE_EXTEND",
        Verb::Inspect => "ERR_LEASE_INSPECT",
        Verb::ListLocks => "ERR_LOCK_LIST",
        Verb::ForceRelease => "ERR_LOCK_FORCE_RELEASE",
    };
    let (status, error_code) = match error {
        Error::StoreNotConfigured(_) => (500, "ERR_LOCK_STORE_NOT_CONFIGURED"),
        Error::StoreNotFound(_) => (400, "ERR_LOCK_STORE_NOT_FOUND"),
        Error::ResourceIdEmpty(_)
        | Error::LockOwnerEmpty(_)
        | Error::ExpiryNotPositive(_)
        | Error::MalformedRequest(_) => (400, "ERR_MALFORMED_REQUEST"),
        Error::RequestTooLarge(_) => (400, "ERR_BODY_READ"),
        Error::ResourceIdReserved(_)
        | Error::StoreFailed(_)
        | Error::Indeterminate(_)
        | Error::Other(_) => (500, failed),
    };
    Reply { status, body: error_body(error_code, error.message()) }
}

/// The reply to a call that failed in the host, outside the rules.
pub fn failure(verb: Verb, cause: &str) -> Reply {
    refusal(verb, &Error::Other(message::failed(verb, cause)))
}

fn error_body(error_code: &str, message: &str) -> Vec<u8> {
    serialized(&[
        ("errorCode", Value::Text(error_code.into())),
        ("message", Value::Text(message.into())),
    ])
}

fn body(fields: &[Field]) -> Reply {
    Reply { status: 200, body: serialized(fields) }
}

/// A 64-bit integer, which is a string in the JSON form of protocol buffers.
fn number(number: Option<u64>) -> Value {
    number.map_or(Value::Missing, |number| Value::Text(number.to_string()))
}

/// The name of a field, and its value.
type Field = (&'static str, Value);

/// The value of a field. All replies share one type, because each serializable type adds 2 KB to the component.
enum Value {
    True,
    False,
    Zero,
    Text(String),
    /// The field is left out.
    Missing,
}

struct Object<'a>(&'a [Field]);

impl Serialize for Object<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for (name, value) in self.0 {
            match value {
                Value::True => map.serialize_entry(name, &true)?,
                Value::False => map.serialize_entry(name, &false)?,
                Value::Zero => map.serialize_entry(name, &0_u8)?,
                Value::Text(text) => map.serialize_entry(name, text)?,
                Value::Missing => {}
            }
        }
        map.end()
    }
}

fn serialized(fields: &[Field]) -> Vec<u8> {
    // Strings, booleans and small numbers always serialize, so no error is lost here.
    serde_json::to_string(&Object(fields)).map(|json| escape_for_html(&json)).unwrap_or_default()
}

/// Go's `json.Marshal` escapes these characters. Here they occur only inside strings.
fn escape_for_html(json: &str) -> Vec<u8> {
    let mut escaped = Vec::with_capacity(json.len());
    for character in json.chars() {
        let escape: &[u8] = match character {
            '<' => b"\\u003c",
            '>' => b"\\u003e",
            '&' => b"\\u0026",
            '\u{2028}' => b"\\u2028",
            '\u{2029}' => b"\\u2029",
            _ => {
                escaped.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
                continue;
            }
        };
        escaped.extend_from_slice(escape);
    }
    escaped
}

//! Replies, byte for byte as Dapr 1.18 gives them. Those about leases have the JSON form of protocol buffers.

use alloc::{
    string::{String, ToString},
    vec::Vec,
};

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

/// The value of a field.
enum Value {
    True,
    False,
    Zero,
    Text(String),
    /// The field is left out.
    Missing,
}

fn serialized(fields: &[Field]) -> Vec<u8> {
    let mut json = String::from("{");
    for (name, value) in fields {
        if matches!(value, Value::Missing) {
            continue;
        }
        if json.len() > 1 {
            json.push(',');
        }
        push_text(&mut json, name);
        json.push(':');
        match value {
            Value::True => json.push_str("true"),
            Value::False => json.push_str("false"),
            Value::Zero => json.push('0'),
            Value::Text(text) => push_text(&mut json, text),
            Value::Missing => {}
        }
    }
    json.push('}');
    json.into_bytes()
}

/// Adds a string with the escapes of Go's `json.Marshal`.
fn push_text(json: &mut String, text: &str) {
    json.push('"');
    for character in text.chars() {
        match character {
            '"' => json.push_str("\\\""),
            '\\' => json.push_str("\\\\"),
            '\u{8}' => json.push_str("\\b"),
            '\u{c}' => json.push_str("\\f"),
            '\n' => json.push_str("\\n"),
            '\r' => json.push_str("\\r"),
            '\t' => json.push_str("\\t"),
            '\0'..='\u{1f}' | '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => {
                json.push_str("\\u");
                for shift in [12, 8, 4, 0] {
                    let digit = u32::from(character) >> shift & 0xf;
                    json.extend(char::from_digit(digit, 16));
                }
            }
            _ => json.push(character),
        }
    }
    json.push('"');
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn escaped(text: &str) -> String {
        let mut json = String::new();
        push_text(&mut json, text);
        json
    }

    #[test]
    fn escapes_are_those_of_go() {
        assert_eq!(escaped("\"\\/ \u{8}\u{c}\n\r\t"), r#""\"\\/ \b\f\n\r\t""#);
        assert_eq!(escaped("\0\u{1f}\u{7f}"), "\"\\u0000\\u001f\u{7f}\"");
        assert_eq!(escaped("<&>\u{2028}\u{2029}"), r#""\u003c\u0026\u003e\u2028\u2029""#);
        assert_eq!(escaped("\u{e9}\u{1f600}"), "\"\u{e9}\u{1f600}\"");
    }

    proptest! {
        #[test]
        fn any_text_comes_back(text in any::<String>()) {
            let json = escaped(&text);
            prop_assert_eq!(serde_json::from_str::<String>(&json).unwrap(), text);
            prop_assert!(!json.contains(['<', '>', '&']));
        }
    }
}

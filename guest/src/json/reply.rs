//! Replies, byte for byte as Dapr 1.18 gives them.

use alloc::vec::Vec;

use serde::Serialize;

use crate::{
    bindings::{Error, Reply, UnlockStatus},
    message::Call,
};

/// The reply to a try-lock that has a verdict.
pub fn success(success: bool) -> Reply {
    let body: &[u8] = if success { br#"{"success":true}"# } else { br#"{"success":false}"# };
    Reply { status: 200, body: body.to_vec() }
}

/// The reply to an unlock that has a verdict.
pub fn status(status: UnlockStatus) -> Reply {
    let body: &[u8] = match status {
        UnlockStatus::Success => br#"{"status":0}"#,
        UnlockStatus::LockDoesNotExist => br#"{"status":1}"#,
        UnlockStatus::LockBelongsToOthers => br#"{"status":2}"#,
        UnlockStatus::InternalError => br#"{"status":3}"#,
    };
    Reply { status: 200, body: body.to_vec() }
}

/// The reply to a call that has none.
pub fn refusal(call: Call, error: &Error) -> Reply {
    let failed = match call {
        Call::TryLock => "ERR_TRY_LOCK",
        Call::Unlock => "ERR_UNLOCK",
    };
    let (status, error_code, message) = match error {
        Error::StoreNotConfigured(message) => (500, "ERR_LOCK_STORE_NOT_CONFIGURED", message),
        Error::StoreNotFound(message) => (400, "ERR_LOCK_STORE_NOT_FOUND", message),
        Error::ResourceIdEmpty(message)
        | Error::LockOwnerEmpty(message)
        | Error::ExpiryNotPositive(message)
        | Error::MalformedRequest(message) => (400, "ERR_MALFORMED_REQUEST", message),
        Error::RequestTooLarge(message) => (400, "ERR_BODY_READ", message),
        Error::ResourceIdReserved(message)
        | Error::StoreFailed(message)
        | Error::Other(message) => (500, failed, message),
        Error::Indeterminate(outcome) => (500, failed, &outcome.message),
    };
    Reply { status, body: error_body(error_code, message) }
}

fn error_body(error_code: &str, message: &str) -> Vec<u8> {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct ErrorBody<'a> {
        error_code: &'a str,
        message: &'a str,
    }
    // Strings always serialize: there is no error to lose here.
    serde_json::to_string(&ErrorBody { error_code, message })
        .map(|json| escape_for_html(&json))
        .unwrap_or_default()
}

/// Go's `json.Marshal` escapes these inside strings, the only place where they can stand here.
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

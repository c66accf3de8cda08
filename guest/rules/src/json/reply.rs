//! Replies, byte for byte as Dapr 1.18 gives them.

use alloc::vec::Vec;

use serde::Serialize;

use crate::{
    message,
    types::{Error, Reply, UnlockStatus, Verb},
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

/// The reply to a call that has no verdict.
pub fn refusal(verb: Verb, error: &Error) -> Reply {
    let failed = match verb {
        Verb::TryLock => "ERR_TRY_LOCK",
        Verb::Unlock => "ERR_UNLOCK",
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

/// The reply to a call that failed in the host, beyond the rules.
pub fn failure(verb: Verb, cause: &str) -> Reply {
    refusal(verb, &Error::Other(message::failed(verb, cause)))
}

fn error_body(error_code: &str, message: &str) -> Vec<u8> {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct ErrorBody<'a> {
        error_code: &'a str,
        message: &'a str,
    }
    // Two strings always serialize, so no error is lost here.
    serde_json::to_string(&ErrorBody { error_code, message })
        .map(|json| escape_for_html(&json))
        .unwrap_or_default()
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

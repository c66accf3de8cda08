//! Calls about leases from the caller's side: requests composed, replies read.
//!
//! A caller that gets no verdict must assume that it holds the lock: it releases the lock, and does not start the work.

use alloc::{format, string::String, vec::Vec};

use holdfast_rules::json::duration;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;
use serde_json::Value;

/// The bytes to escape in a segment of a path.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A `POST` request with a body of JSON.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The path.
    pub path: String,
    /// The body.
    pub body: Vec<u8>,
}

/// The request of a caller that takes a lock, or waits for it.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Acquire<'a> {
    /// The resource.
    pub resource_id: &'a str,
    /// The owner, which is new for each try.
    pub lock_owner: &'a str,
    /// The time to live of the lock, in milliseconds.
    #[serde(serialize_with = "seconds")]
    pub ttl: u64,
    /// The longest time that the server waits for the lock, in milliseconds.
    #[serde(serialize_with = "seconds")]
    pub wait: u64,
    /// Whether the grant gets a fencing token.
    pub fenced: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Release<'a> {
    resource_id: &'a str,
    lock_owner: &'a str,
}

/// The verdict of an acquire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Acquired {
    /// The caller holds the lock.
    Granted {
        /// The fencing token in decimal digits, if the caller asked for one.
        fencing_token: Option<String>,
    },
    /// The lock was not free in time.
    NotFree,
}

impl Acquire<'_> {
    /// The request.
    pub fn request(&self, store: &str) -> Request {
        compose(store, "acquire", self)
    }

    /// The verdict of the reply with this status and body; `None` if the reply has none. The holder of the lock is
    /// unknown then.
    pub fn verdict(fenced: bool, status: u16, body: &[u8]) -> Option<Acquired> {
        if status != 200 {
            return None;
        }
        // Reads a tree, because callers that are components have the code for trees anyway.
        let mut reply: Value = serde_json::from_slice(body).ok()?;
        if !reply.get("success")?.as_bool()? {
            return Some(Acquired::NotFree);
        }
        if !fenced {
            return Some(Acquired::Granted { fencing_token: None });
        }
        let Value::String(token) = reply.get_mut("fencingToken")?.take() else { return None };
        let is_number = !token.is_empty() && token.bytes().all(|digit| digit.is_ascii_digit());
        is_number.then_some(Acquired::Granted { fencing_token: Some(token) })
    }
}

/// The request that releases a lock.
pub fn release(store: &str, resource_id: &str, lock_owner: &str) -> Request {
    compose(store, "release", &Release { resource_id, lock_owner })
}

fn compose(store: &str, call: &str, body: &impl Serialize) -> Request {
    let path = format!("/v1.0/leases/{}/{call}", utf8_percent_encode(store, ESCAPED));
    // Structs of text and numbers always serialize.
    Request { path, body: serde_json::to_vec(body).unwrap_or_default() }
}

fn seconds<S: serde::Serializer>(milliseconds: &u64, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(&duration(*milliseconds))
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use super::*;
    use crate::{LeaseCall, Route};

    const ACQUIRE: Acquire<'_> =
        Acquire { resource_id: "a\"b", lock_owner: "o", ttl: 60_000, wait: 250, fenced: true };

    #[test]
    fn requests_have_the_form_of_the_api() {
        let Request { path, body } = ACQUIRE.request("my store/+é");
        let route = Route::Lease { call: LeaseCall::Acquire, store: "my store/+é".into() };
        assert_eq!(Route::of("POST", &path), route);
        let expected =
            br#"{"resourceId":"a\"b","lockOwner":"o","ttl":"60s","wait":"0.250s","fenced":true}"#;
        assert_eq!(body, expected);
        let Request { path, body } = release("s", "r", "o");
        let route = Route::Lease { call: LeaseCall::Release, store: "s".into() };
        assert_eq!(Route::of("POST", &path), route);
        assert_eq!(body, br#"{"resourceId":"r","lockOwner":"o"}"#);
    }

    #[test]
    fn only_a_clean_reply_is_a_verdict() {
        let granted = |token: Option<&str>| {
            Some(Acquired::Granted { fencing_token: token.map(ToString::to_string) })
        };
        let plain = r#"{"success":true,"lockOwner":"o","validFor":"29.998s"}"#;
        let numbered =
            r#"{"success":true,"lockOwner":"o","fencingToken":"17","validFor":"29.998s"}"#;
        for (fenced, status, body, verdict) in [
            (false, 200, plain, granted(None)),
            (true, 200, plain, None),
            (true, 200, numbered, granted(Some("17"))),
            (true, 200, r#"{"success":true,"fencingToken":"1\r\nx: y"}"#, None),
            (true, 200, r#"{"success":true,"fencingToken":""}"#, None),
            (true, 200, r#"{"success":false}"#, Some(Acquired::NotFree)),
            (false, 200, r#"{"success":"true"}"#, None),
            (false, 200, r#"{"success":true"#, None),
            (false, 200, "", None),
            (false, 204, plain, None),
            (false, 500, r#"{"errorCode":"ERR_LEASE_ACQUIRE"}"#, None),
            (false, 504, r#"{"success":false}"#, None),
        ] {
            assert_eq!(Acquire::verdict(fenced, status, body.as_bytes()), verdict, "{body}");
        }
    }
}

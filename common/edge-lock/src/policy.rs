//! An edge lock: which requests take which lock, for how long, and what happens to a request that does not get it.

use alloc::{
    format,
    string::{String, ToString},
    vec::Vec,
};
use core::iter;

use serde_json::Value;

use crate::{
    fields::{Field, Fields},
    flaw::Flaw,
    matching::Match,
    refusal::Refusal,
    template::Template,
};

/// How many requests may wait for one lock by default: a fifth of a server's room, so that a crowd for one lock leaves
/// room for the others.
const MAX_WAITING: u64 = 1_000;

/// A lock that requests take on their way through a proxy.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct EdgeLock {
    /// Its name, which is unique.
    pub name: String,
    /// The requests that the lock matches. Default: every request.
    pub matches: Match,
    /// The name of the lock store.
    pub store: String,
    /// The resource that a request locks.
    pub resource: Template,
    /// The time to live of the lock, in milliseconds. The lock is not renewed, so this must exceed the longest time
    /// that the upstream may take.
    pub ttl: u64,
    /// The longest time that a request waits for the lock, in milliseconds. Default: 0, which tries once.
    pub wait: u64,
    /// How many requests may wait for one lock at a time, including those that ask for it. Default: 1,000.
    pub max_waiting: u64,
    /// Whether the upstream gets the fencing token. Default: false.
    pub fenced: bool,
    /// What happens if the holder of the lock is unknown. Default: closed.
    pub in_doubt: InDoubt,
    /// What happens to the lock if the client leaves, or the proxy gives up waiting, before the upstream has answered.
    /// Default: the lock is kept.
    pub on_client_gone: OnClientGone,
    /// The response to a refused request.
    pub refused: Refusal,
}

/// What happens to a request if the holder of its lock is unknown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InDoubt {
    /// The request is refused.
    Closed,
    /// The request goes on without a lock.
    Open,
}

/// What happens to the lock if the client leaves, or the proxy gives up waiting, before the upstream has answered. The
/// proxy then drops its request to the upstream, but the upstream may keep working.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnClientGone {
    /// The lock is kept until it expires, so that the upstream does not get the request twice at a time.
    Keep,
    /// The lock is released, so that the next request need not wait.
    Free,
}

impl EdgeLock {
    /// The fields of an edge lock.
    pub const FIELDS: [&str; 10] = [
        "match",
        "store",
        "resource",
        "ttl",
        "wait",
        "maxWaiting",
        "fenced",
        "inDoubt",
        "onClientGone",
        "refused",
    ];

    /// Reads an edge lock of this name, whose other fields are those of a mapping.
    ///
    /// # Errors
    ///
    /// If a field is wrong. The error names the first one.
    pub fn read(name: &str, spec: Value) -> Result<Self, Flaw> {
        Self::of(name.to_string(), Field::root(spec).fields(&Self::FIELDS)?)
    }

    /// Reads an edge lock whose name is a field beside the others.
    ///
    /// # Errors
    ///
    /// If a field is wrong. The error names the first one.
    pub fn read_named(spec: Field) -> Result<Self, Flaw> {
        let known: Vec<_> = iter::once("name").chain(Self::FIELDS).collect();
        let mut fields = spec.fields(&known)?;
        Self::of(fields.take("name").required()?, fields)
    }

    fn of(name: String, mut fields: Fields) -> Result<Self, Flaw> {
        let matches = Match::read(fields.take("match"))?;
        let store = fields.take("store").required()?;
        let resource = fields.take("resource");
        let flaw = resource.flaw("");
        let flaw = |message: String| Flaw { message, ..flaw };
        let resource = Template::read(&resource.required()?).map_err(flaw)?;
        let ttl = fields.take("ttl");
        let (missing, too_short) = (ttl.flaw("is missing"), ttl.flaw("must be longer than 0s"));
        if ttl.is_null() {
            return Err(missing);
        }
        let ttl = Some(ttl.time_or(0)?).filter(|ttl| *ttl > 0).ok_or(too_short)?;
        let wait = fields.take("wait").time_or(0)?;
        let max_waiting = fields.take("maxWaiting");
        let nobody = max_waiting.flaw("must be at least 1");
        let max_waiting =
            Some(max_waiting.number_or(MAX_WAITING)?).filter(|most| *most > 0).ok_or(nobody)?;
        let in_doubt = [("closed", InDoubt::Closed), ("open", InDoubt::Open)];
        let client_gone = [("keep", OnClientGone::Keep), ("free", OnClientGone::Free)];
        Ok(Self {
            name,
            matches,
            store,
            resource,
            ttl,
            wait,
            max_waiting,
            fenced: fields.take("fenced").flag_or(false)?,
            in_doubt: one_of(fields.take("inDoubt"), in_doubt)?,
            on_client_gone: one_of(fields.take("onClientGone"), client_gone)?,
            refused: Refusal::read(fields.take("refused"))?,
        })
    }
}

/// Reads one of two words. The first is the default.
fn one_of<T: Copy>(field: Field, words: [(&str, T); 2]) -> Result<T, Flaw> {
    let [(first, _), (second, _)] = words;
    let flaw = field.flaw(format!("must be {first} or {second}"));
    let word = field.text_or(first)?;
    let found = words.into_iter().find(|(known, _)| *known == word);
    found.map(|(_, value)| value).ok_or(flaw)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(change: &str, value: Value) -> Result<EdgeLock, Flaw> {
        let mut spec = json!({"store": "s", "resource": "{:path}", "ttl": "60s"});
        spec[change] = value;
        EdgeLock::read("reports", spec)
    }

    #[test]
    fn what_is_not_said_has_a_default_that_is_safe() {
        let lock = read("match", json!(null)).unwrap();
        assert_eq!((lock.name.as_str(), lock.store.as_str()), ("reports", "s"));
        assert_eq!((lock.ttl, lock.wait, lock.fenced), (60_000, 0, false));
        assert_eq!(lock.max_waiting, 1_000);
        assert_eq!((lock.in_doubt, lock.on_client_gone), (InDoubt::Closed, OnClientGone::Keep));
        let Refusal { status, retry_after, content_type, body } = lock.refused;
        assert_eq!((status, retry_after), (503, Some(1)));
        assert_eq!(content_type, "text/plain");
        assert_eq!(body, "the lock is not free: try again later\n");
    }

    #[test]
    fn every_field_is_read() {
        let lock = EdgeLock::read(
            "orders",
            json!({
                "match": {"methods": ["POST"]},
                "store": "s", "resource": "order", "ttl": "0.5s", "wait": "2s", "maxWaiting": 50, "fenced": true,
                "inDoubt": "open", "onClientGone": "free",
                "refused": {"status": 429, "retryAfter": "1.2s", "contentType": "application/json", "body": "{}"},
            }),
        );
        let lock = lock.unwrap();
        assert_eq!((lock.ttl, lock.wait, lock.fenced), (500, 2_000, true));
        assert_eq!(lock.max_waiting, 50);
        assert_eq!((lock.in_doubt, lock.on_client_gone), (InDoubt::Open, OnClientGone::Free));
        assert_eq!((lock.refused.status, lock.refused.retry_after), (429, Some(2)));
        assert_eq!(lock.refused.body, "{}");
        let no_header = read("refused", json!({"retryAfter": "0s"})).unwrap();
        assert_eq!(no_header.refused.retry_after, None);
    }

    #[test]
    fn a_field_that_is_wrong_is_named() {
        for (field, value, flaw) in [
            ("store", json!(null), "store: is missing"),
            ("store", json!(""), "store: is missing"),
            ("store", json!(1), "store: must be text"),
            ("resource", json!(null), "resource: is missing"),
            ("resource", json!("{"), "resource: has a single brace: write {{ or }} for a brace"),
            ("ttl", json!(null), "ttl: is missing"),
            ("ttl", json!("0s"), "ttl: must be longer than 0s"),
            ("ttl", json!(60), "ttl: must be seconds, such as 30s or 0.25s"),
            ("ttl", json!("1m"), "ttl: must be seconds, such as 30s or 0.25s"),
            ("ttl", json!("2147483648s"), "ttl: must be at most 2147483647s"),
            ("wait", json!("-1s"), "wait: must be seconds, such as 30s or 0.25s"),
            ("maxWaiting", json!(0), "maxWaiting: must be at least 1"),
            ("maxWaiting", json!(-1), "maxWaiting: must be a whole number"),
            ("maxWaiting", json!("10"), "maxWaiting: must be a whole number"),
            ("fenced", json!("true"), "fenced: must be true or false"),
            ("inDoubt", json!("Open"), "inDoubt: must be closed or open"),
            ("onClientGone", json!(false), "onClientGone: must be text"),
            ("onClientGone", json!("hold"), "onClientGone: must be keep or free"),
            ("refused", json!({"status": 200}), "refused.status: must be from 400 to 599"),
            ("refused", json!({"status": 70_000}), "refused.status: must be from 400 to 599"),
            ("refused", json!({"status": "503"}), "refused.status: must be a whole number"),
            (
                "refused",
                json!({"contentType": "a\nb"}),
                "refused.contentType: must be printable ASCII",
            ),
            ("match", json!([]), "match: must be a mapping"),
            (
                "Store",
                json!("s"),
                "Store: unknown field; the fields here are match, store, resource, ttl, wait, maxWaiting, fenced, inDoubt, onClientGone, refused",
            ),
        ] {
            let refused = read(field, value).unwrap_err();
            assert_eq!(refused.to_string(), flaw);
        }
        assert_eq!(EdgeLock::read("x", json!("s")).unwrap_err().to_string(), "must be a mapping");
    }

    #[test]
    fn a_name_may_be_among_the_fields() {
        let read = |spec: Value| {
            let list = Field::root(json!({ "locks": [spec] })).fields(&["locks"])?.take("locks");
            list.items()?.into_iter().map(EdgeLock::read_named).collect::<Result<Vec<_>, _>>()
        };
        let spec = json!({"name": "a", "store": "s", "resource": "r", "ttl": "1s"});
        let locks = read(spec.clone()).unwrap();
        assert_eq!(
            locks[0],
            EdgeLock::read("a", json!({"store": "s", "resource": "r", "ttl": "1s"})).unwrap()
        );
        for (field, value, flaw) in [
            ("name", json!(null), "locks[0].name: is missing"),
            (
                "resource",
                json!("a||b"),
                "locks[0].resource: may not contain ||, which separates the parts of a key",
            ),
            ("refused", json!({"status": 1}), "locks[0].refused.status: must be from 400 to 599"),
            (
                "Name",
                json!("a"),
                "locks[0].Name: unknown field; the fields here are name, match, store, resource, ttl, wait, maxWaiting, fenced, inDoubt, onClientGone, refused",
            ),
        ] {
            let mut spec = spec.clone();
            spec[field] = value;
            assert_eq!(read(spec).unwrap_err().to_string(), flaw);
        }
    }
}

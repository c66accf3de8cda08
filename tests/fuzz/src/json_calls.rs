//! The JSON form of the verbs: the bodies and the replies.

use std::fmt;

use holdfast_rules::{
    MAX_TIME, json,
    scope::Scope,
    steps, try_lock,
    types::{
        Answer, Begun, Error, Failure, Form, JsonAnswer, JsonRequest, Outcome, Reply, Request,
        StoreChoice, StoreInfo, TryLockRequest, UnknownOutcome, UnlockRequest, Verb,
    },
};
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::{Number, Value};

const VERBS: [Verb; 7] = [
    Verb::TryLock,
    Verb::Unlock,
    Verb::Acquire,
    Verb::Extend,
    Verb::Inspect,
    Verb::ListLocks,
    Verb::ForceRelease,
];

/// Reads the input as the body of each verb, and uses it as the cause of each failure.
pub fn run(input: &[u8]) {
    let store =
        StoreInfo { name: "lockstore".to_owned(), key_prefix: None, app_id: "app1".to_owned() };
    let scope = Scope::new(&[store]).expect("a scope with one store");
    let stores = [StoreChoice::Configured(0), StoreChoice::Unknown("<&>".to_owned())];
    for verb in VERBS {
        for store in &stores {
            let begin = |request| steps::begin(&scope, store, request);
            match verb {
                Verb::TryLock | Verb::Unlock => is_read_as_json(verb, input, begin),
                _ => is_begun(verb, input, begin),
            }
        }
        let cause = String::from_utf8_lossy(input);
        fails_with(verb, &cause, input);
    }
}

/// The body is refused, or asks for times within the bounds.
fn is_begun(verb: Verb, body: &[u8], begin: impl Fn(Request) -> Begun) {
    match begin(Request::Json(JsonRequest { verb, body: body.to_vec() })) {
        Begun::Answered(Answer::Json(answer)) => {
            is_reply(&answer, 6 * body.len() + 512);
        }
        Begun::Acquire(step) => {
            assert!((1..=MAX_TIME).contains(&step.ttl) && step.wait <= MAX_TIME, "{step:?}");
        }
        Begun::Extend(step) => assert!((1..=MAX_TIME).contains(&step.ttl), "{step:?}"),
        Begun::Inspect(_) => {}
        begun => panic!("{verb:?}: {begun:?}"),
    }
}

/// The body means what another reader of JSON finds in it, and is answered as the typed form is.
fn is_read_as_json(verb: Verb, body: &[u8], begin: impl Fn(Request) -> Begun) {
    let begun = begin(Request::Json(JsonRequest { verb, body: body.to_vec() }));
    if let Begun::Answered(Answer::Json(answer)) = &begun {
        is_reply(answer, 6 * body.len() + 512);
    }
    let malformed = error(&begun).is_some_and(|it| matches!(it, Error::MalformedRequest(_)));
    let fields = match Fields::read(verb, body) {
        Read::Unknown => return,
        Read::Malformed => {
            assert!(malformed, "only we read this: {begun:?}");
            return;
        }
        Read::Fields(fields) => fields,
    };
    let Some(seconds) = fields.seconds(malformed) else { return };
    let has_owner = !fields.lock_owner.is_empty();
    let resource_id = fields.resource_id;
    let typed = begin(match verb {
        Verb::TryLock => {
            let ttl = try_lock::ttl(seconds);
            Request::TryLock(TryLockRequest { resource_id, has_owner, ttl })
        }
        _ => Request::Unlock(UnlockRequest { resource_id, has_owner }),
    });
    let owner = Some(fields.lock_owner);
    match (begun, typed) {
        (Begun::Acquire(json), Begun::Acquire(mut typed)) => {
            typed.owner = owner;
            assert_eq!(json, typed);
            assert!((1..=MAX_TIME).contains(&json.ttl));
        }
        (Begun::Release(json), Begun::Release(mut typed)) => {
            typed.owner = owner;
            assert_eq!(json, typed);
        }
        (json, typed) => {
            assert!(error(&json).is_some(), "{json:?}");
            assert_eq!(error(&json), error(&typed));
        }
    }
}

/// Why a call is answered at once.
fn error(begun: &Begun) -> Option<&Error> {
    match begun {
        Begun::Answered(Answer::Json(answer)) => answer.error.as_ref(),
        Begun::Answered(Answer::Failed(error)) => Some(error),
        _ => None,
    }
}

/// The reply to a failure has its cause, letter by letter.
fn fails_with(verb: Verb, cause: &str, input: &[u8]) {
    let held_until = input.first_chunk().map(|time| u64::from_le_bytes(*time));
    let unknown = UnknownOutcome { cause: cause.to_owned(), held_until };
    for failure in [Failure::NotDone(cause.to_owned()), Failure::Unknown(unknown)] {
        match steps::end(verb, Form::Json, Outcome::Failed(failure)) {
            Answer::Json(answer) => {
                let message = is_reply(&answer, 6 * cause.len() + 512);
                assert!(message.contains(&format!(": {cause}")));
            }
            answer => panic!("{answer:?}"),
        }
    }
    let message = is_error_body(&json::failure(verb, cause));
    assert!(message.ends_with(&format!(": {cause}")));
}

/// Checks an answer with an error, and returns the message in its body.
fn is_reply(answer: &JsonAnswer, longest: usize) -> String {
    let JsonAnswer { reply, error } = answer;
    let message = is_error_body(reply);
    assert!(reply.body.len() <= longest, "a reply of {} bytes", reply.body.len());
    assert_eq!(error.as_ref().map(Error::message), Some(&*message));
    message
}

/// Checks the body of an error as Go writes it, and returns its message.
fn is_error_body(reply: &Reply) -> String {
    assert!([400, 500].contains(&reply.status), "status {}", reply.status);
    let text = str::from_utf8(&reply.body).expect("UTF-8");
    assert!(!text.contains(['<', '>', '&', '\u{2028}', '\u{2029}']), "{text}");
    let Ok(Entries(entries)) = serde_json::from_str(text) else { panic!("not an object: {text}") };
    match entries.as_slice() {
        [(code, Value::String(_)), (name, Value::String(message))] => {
            assert_eq!((&**code, &**name), ("errorCode", "message"));
            message.clone()
        }
        _ => panic!("not an error: {text}"),
    }
}

/// The content of a body, according to another reader.
enum Read {
    Fields(Fields),
    Malformed,
    /// The other reader holds a value in memory, and refuses more than ours, which skips it.
    Unknown,
}

#[derive(Default)]
struct Fields {
    resource_id: String,
    lock_owner: String,
    expiry: Value,
}

impl Fields {
    fn read(verb: Verb, body: &[u8]) -> Read {
        if body.is_empty() {
            return Read::Fields(Self::default());
        }
        let Ok(Entries(entries)) = serde_json::from_slice(body) else {
            let is_json = serde_json::from_slice::<IgnoredAny>(body).is_ok();
            return if is_json { Read::Unknown } else { Read::Malformed };
        };
        Self::of(verb, entries).map_or(Read::Malformed, Read::Fields)
    }

    fn of(verb: Verb, entries: Vec<(String, Value)>) -> Option<Self> {
        let mut seen = Vec::new();
        let mut fields = Self::default();
        for (name, value) in entries {
            let name = match &*name {
                "storeName" | "store_name" => "store",
                "resourceId" | "resource_id" => "resource",
                "lockOwner" | "lock_owner" => "owner",
                "expiryInSeconds" | "expiry_in_seconds" if verb == Verb::TryLock => "expiry",
                _ => continue,
            };
            if seen.contains(&name) {
                return None;
            }
            seen.push(name);
            match (name, value) {
                (_, Value::Null) | ("store", Value::String(_)) => {}
                ("resource", Value::String(text)) => fields.resource_id = text,
                ("owner", Value::String(text)) => fields.lock_owner = text,
                ("expiry", value @ Value::Number(_)) => fields.expiry = value,
                ("expiry", Value::String(text)) => {
                    let number: Number = serde_json::from_str(&text).ok()?;
                    let is_bare = text.trim_matches([' ', '\t', '\r', '\n']).len() == text.len();
                    fields.expiry = is_bare.then_some(Value::Number(number))?;
                }
                _ => return None,
            }
        }
        Some(fields)
    }

    /// The expiry; `None` where a rounded number does not give it, if the call was refused for it.
    fn seconds(&self, malformed: bool) -> Option<i32> {
        let Value::Number(number) = &self.expiry else { return Some(0) };
        let whole = number.as_i64().and_then(|it| i32::try_from(it).ok());
        if whole.is_some() || malformed {
            return whole;
        }
        let rounded = number.as_f64().unwrap_or(f64::NAN);
        let nearest = rounded.round();
        assert!((rounded - nearest).abs() < 1e-5, "{number} is not whole");
        assert!((-2_147_483_648.0..=2_147_483_647.0).contains(&nearest), "{number}");
        Some(nearest as i32)
    }
}

/// The entries of an object in their order, with those of the same name.
struct Entries(Vec<(String, Value)>);

impl<'de> Deserialize<'de> for Entries {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(EntriesVisitor)
    }
}

struct EntriesVisitor;

impl<'de> Visitor<'de> for EntriesVisitor {
    type Value = Entries;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Entries, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = map.next_entry()? {
            entries.push(entry);
        }
        Ok(Entries(entries))
    }
}

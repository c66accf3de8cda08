//! Bodies that Dapr accepts and rejects, and replies byte for byte.

use alloc::{
    collections::BTreeMap,
    format,
    string::{String, ToString},
    vec::Vec,
};

use proptest::prelude::*;

use super::*;
use crate::{
    scope::Scope,
    steps,
    types::{
        AcquireCommand, Acquired, Failure, Form, Grant, Outcome, Released, Reply, StoreInfo,
        UnknownOutcome,
    },
};

fn scope() -> Scope {
    Scope::new(&[StoreInfo { name: "lockstore".into(), key_prefix: None, app_id: "app1".into() }])
        .unwrap()
}

fn begin_try_lock(scope: &Scope, store: &str, body: &[u8]) -> Result<AcquireCommand, Reply> {
    match begin(scope.named(store), Verb::TryLock, body) {
        Begun::Acquire(AcquireStep { key, owner: Some(owner), ttl, .. }) => {
            Ok(AcquireCommand { store: store.into(), key, owner, ttl, wait: 0, fenced: false })
        }
        Begun::Answered(Answer::Json(JsonAnswer { reply, error: Some(_) })) => Err(reply),
        begun => panic!("{begun:?}"),
    }
}

/// The key.
fn begin_unlock(scope: &Scope, store: &str, body: &[u8]) -> Result<String, Reply> {
    match begin(scope.named(store), Verb::Unlock, body) {
        Begun::Release(ReleaseStep { key, owner: Some(_) }) => Ok(key),
        Begun::Answered(Answer::Json(JsonAnswer { reply, error: Some(_) })) => Err(reply),
        begun => panic!("{begun:?}"),
    }
}

fn end(verb: Verb, outcome: Outcome) -> Reply {
    match steps::end(verb, Form::Json, outcome) {
        Answer::Json(JsonAnswer { reply, error }) => {
            assert_eq!(error.is_some(), reply.status != 200);
            reply
        }
        answer => panic!("{answer:?}"),
    }
}

fn end_try_lock(outcome: Result<Acquired, Failure>) -> Reply {
    end(Verb::TryLock, outcome.map_or_else(Outcome::Failed, Outcome::Acquired))
}

fn end_unlock(outcome: Result<Released, Failure>) -> Reply {
    end(Verb::Unlock, outcome.map_or_else(Outcome::Failed, Outcome::Released))
}

fn try_lock(body: impl AsRef<[u8]>) -> Result<AcquireCommand, Reply> {
    begin_try_lock(&scope(), "lockstore", body.as_ref())
}

fn text(reply: &Reply) -> String {
    String::from_utf8(reply.body.clone()).unwrap()
}

/// The expiry that a JSON value gives, in seconds.
fn expiry(value: &str) -> Result<u64, Reply> {
    try_lock(format!(r#"{{"resourceId":"r","lockOwner":"o","expiryInSeconds":{value}}}"#))
        .map(|command| command.ttl / 1000)
}

#[test]
fn expiries_that_are_accepted() {
    for (value, seconds) in [
        ("60", 60),
        (r#""60""#, 60),
        ("60.0", 60),
        ("6e1", 60),
        ("6E+1", 60),
        ("600e-1", 60),
        ("0.6e2", 60),
        (r#""6e1""#, 60),
        (r#""6\u0030""#, 60),
        ("2147483647", 2_147_483_647),
        ("21474836470e-1", 2_147_483_647),
        ("1.0000000000000000000000e0", 1),
        ("0.00000000000000000001e20", 1),
    ] {
        assert_eq!(expiry(value), Ok(seconds), "{value}");
    }
}

#[test]
fn expiries_that_are_rejected() {
    for value in [
        "60.5",
        r#"" 60""#,
        r#""60 ""#,
        r#""""#,
        "true",
        "2147483648",
        "-2147483649",
        "[60]",
        "{}",
        "1e10",
        "1e999999999999999999999",
        "60.00000000000000000001",
        r#""x""#,
        r#""+60""#,
        r#""060""#,
        r#""null""#,
        r#""true""#,
        r#""1,2""#,
        r#""0x10""#,
        "1e-1",
        "0.000000000000000000001e21",
        r#""6e""#,
        r#""[1]""#,
        r#""\"60\"""#,
    ] {
        let reply = expiry(value).unwrap_err();
        assert_eq!(reply.status, 400, "{value}");
        let start =
            r#"{"errorCode":"ERR_MALFORMED_REQUEST","message":"failed deserializing HTTP body: "#;
        assert!(text(&reply).starts_with(start), "{value}: {}", text(&reply));
    }
}

#[test]
fn expiries_that_are_not_positive() {
    for value in [
        "0",
        "-1",
        "null",
        "-2147483648",
        "0.0",
        "-0",
        "0e5",
        "0e99999999999999999999",
        "-0.0e-99999999999999999999",
        r#""-6""#,
        "-6e1",
    ] {
        let reply = expiry(value).unwrap_err();
        assert_eq!(
            text(&reply),
            r#"{"errorCode":"ERR_MALFORMED_REQUEST","message":"ExpiryInSeconds is not positive in lock store lockstore"}"#,
            "{value}"
        );
    }
}

#[test]
fn bodies_that_are_accepted() {
    for body in [
        r#"{"resourceId":"r","lockOwner":"o","expiryInSeconds":60}"#,
        r#"{"resource_id":"r","lock_owner":"o","expiry_in_seconds":60}"#,
        " {\t\"resourceId\" : \"r\" , \r\n\"lockOwner\":\"o\",\"expiryInSeconds\":60 } \n",
        r#"{"storeName":"other","resourceId":"r","lockOwner":"o","expiryInSeconds":60}"#,
        r#"{"storeName":null,"resourceId":"r","lockOwner":"o","expiryInSeconds":60}"#,
        r#"{"x":{"y":[1,2.5e300,{"z":null}]},"resourceId":"r","lockOwner":"o","expiryInSeconds":60}"#,
        r#"{"x":1,"x":2,"resourceId":"r","lockOwner":"o","expiryInSeconds":60}"#,
        r#"{"ResourceId":7,"resourceId":"r","lockOwner":"o","expiryInSeconds":60}"#,
        r#"{"\u0072esourceId":"\u0072","lockOwner":"o","expiryInSeconds":60}"#,
        r#"{"x":"\uD83D\uDE00\"\\","resourceId":"r","lockOwner":"o","expiryInSeconds":60}"#,
    ] {
        let command = try_lock(body).unwrap_or_else(|reply| panic!("{body}: {}", text(&reply)));
        assert_eq!(
            command,
            AcquireCommand {
                store: "lockstore".into(),
                key: "lock||app1||r".into(),
                owner: "o".into(),
                ttl: 60_000,
                wait: 0,
                fenced: false,
            },
            "{body}"
        );
    }
}

#[test]
fn bodies_that_are_rejected() {
    let rest = r#""lockOwner":"o","expiryInSeconds":60"#;
    let bodies: Vec<Vec<u8>> = [
        "null",
        "[]",
        " ",
        "\n",
        "{",
        "x",
        "{} {}",
        "{}x",
        "{},",
        r#"{"resourceId":"r",}"#,
        r#"{"resourceId":"r"} // comment"#,
        r#"{/**/"resourceId":"r"}"#,
        "{'resourceId':'r'}",
        r#"{"resourceId":7}"#,
        r#"{"resourceId":true}"#,
        r#"{"resourceId":["r"]}"#,
        r#"{"resourceId":{}}"#,
        r#"{"lockOwner":7}"#,
        r#"{"storeName":7}"#,
        r#"{"resourceId":"a","resourceId":"a"}"#,
        r#"{"resourceId":"a","resource_id":"a"}"#,
        r#"{"expiryInSeconds":1,"expiry_in_seconds":1}"#,
        r#"{"resourceId":null,"resourceId":"r"}"#,
        r#"{"lockOwner":"o","lock_owner":null}"#,
        r#"{"resourceId":"\uD800"}"#,
        r#"{"resourceId":"\uDC00\uD800"}"#,
        "{\"resourceId\":\"a\nb\"}",
        "\u{FEFF}{}",
    ]
    .into_iter()
    .map(|body| body.as_bytes().to_vec())
    .chain([
        format!(r#"{{"resourceId":"a{rest}"#).into_bytes(),
        b"{\"resourceId\":\"\xFF\"}".to_vec(),
        b"{\"x\":\"\xFF\"}".to_vec(),
    ])
    .collect();
    for body in bodies {
        let shown = String::from_utf8_lossy(&body[..body.len().min(60)]).into_owned();
        for reply in [
            try_lock(&body).expect_err(&shown),
            begin_unlock(&scope(), "lockstore", &body)
                .err()
                .filter(|_| !shown.contains("expiry_in_seconds"))
                .unwrap_or_else(|| try_lock(&body).expect_err(&shown)),
        ] {
            assert_eq!(reply.status, 400, "{shown}");
            let start = r#"{"errorCode":"ERR_MALFORMED_REQUEST","message":"failed deserializing HTTP body: "#;
            assert!(text(&reply).starts_with(start), "{shown}: {}", text(&reply));
        }
    }
}

#[test]
fn the_value_of_an_unknown_field_is_only_skipped() {
    for value in [
        format!("{}{}", "[".repeat(100_000), "]".repeat(100_000)),
        r#""\uD800""#.into(),
        r#"["\uDC00\u0041"]"#.into(),
    ] {
        let rest = r#""resourceId":"r","lockOwner":"o","expiryInSeconds":60"#;
        let shown = value[..value.len().min(20)].to_string();
        assert!(try_lock(format!(r#"{{"x":{value},{rest}}}"#)).is_ok(), "{shown}");
    }
}

#[test]
fn an_unlock_knows_no_expiry() {
    let command = begin_unlock(
        &scope(),
        "lockstore",
        br#"{"resourceId":"r","lockOwner":"o","expiryInSeconds":"x","expiryInSeconds":{}}"#,
    );
    assert_eq!(command, Ok("lock||app1||r".into()));
}

#[test]
fn a_message_names_the_field() {
    let reply = try_lock(r#"{"resourceId":7}"#).unwrap_err();
    assert_eq!(
        text(&reply),
        r#"{"errorCode":"ERR_MALFORMED_REQUEST","message":"failed deserializing HTTP body: field 'resourceId': invalid type: a number, expected a string at line 1 column 15"}"#
    );
}

#[test]
fn the_place_of_an_error_is_that_in_the_body() {
    let unlock = |body: &str| Body::read(Verb::Unlock, body.as_bytes()).unwrap_err();
    for (body, flaw) in [
        (
            r#"{"resourceId":5}"#,
            "field 'resourceId': invalid type: a number, expected a string at line 1 column 15",
        ),
        (
            "{\"resourceId\":\"a\",\n\"storeName\":\"é\",\n\"lockOwner\" : 7}",
            "field 'lockOwner': invalid type: a number, expected a string at line 3 column 15",
        ),
        (
            r#"{"lockOwner":true}"#,
            "field 'lockOwner': invalid type: a boolean, expected a string at line 1 column 17",
        ),
        (r#"{"storeName":1e999}"#, "field 'storeName': number out of range at line 1 column 18"),
        (
            r#"{"lockOwner":"\ud800"}"#,
            "field 'lockOwner': unexpected end of hex escape at line 1 column 21",
        ),
        (r#"{"resourceId":"a\x"}"#, "invalid escape at line 1 column 18"),
    ] {
        // serde_json quotes the value of another type, and so has other words.
        let theirs = serde_json::from_str::<BTreeMap<String, String>>(body).unwrap_err();
        let place = format!("at line {} column {}", theirs.line(), theirs.column());
        assert!(flaw.ends_with(&place), "{body}: {theirs}");
        assert_eq!(unlock(body).message(), message::malformed_request(flaw), "{body}");
    }
    let read = |body: &str| Body::read_hold(body.as_bytes()).unwrap_err();
    for (body, message) in [
        (
            r#"{"lockOwner":[1,2]}"#,
            "failed deserializing HTTP body: field 'lockOwner': invalid type: an array, expected a string at line 1 \
             column 14",
        ),
        (
            r#"{"lockOwner":{"a":1}}"#,
            "failed deserializing HTTP body: field 'lockOwner': invalid type: an object, expected a string at line 1 \
             column 14",
        ),
        (
            r#"{"resourceId":"a","ttl":30,"wait":"1s"}"#,
            "failed deserializing HTTP body: field 'ttl': invalid type: a number, expected a string at line 1 column 26",
        ),
        (
            "{\"ttl\":\"1s\",\n \"maxHold\":false}",
            "failed deserializing HTTP body: field 'maxHold': invalid type: a boolean, expected a string at line 2 \
             column 16",
        ),
    ] {
        assert_eq!(read(body).message(), message);
    }
    let refusal = try_lock("{\n\"expiryInSeconds\":\"\\udc00\"}").unwrap_err();
    assert_eq!(
        text(&refusal),
        r#"{"errorCode":"ERR_MALFORMED_REQUEST","message":"failed deserializing HTTP body: field 'expiryInSeconds': lone leading surrogate in hex escape at line 2 column 25"}"#
    );
}

#[test]
fn refusals_in_order() {
    let none = Scope::new(&[]).unwrap();
    let full = r#"{"resourceId":"a||b","lockOwner":"o","expiryInSeconds":1}"#;
    let rows = [
        (
            begin_try_lock(&none, "s", b""),
            400,
            r#"{"errorCode":"ERR_MALFORMED_REQUEST","message":"ExpiryInSeconds is not positive in lock store s"}"#,
        ),
        (
            begin_try_lock(&none, "s", br#"{"expiryInSeconds":1}"#),
            500,
            r#"{"errorCode":"ERR_LOCK_STORE_NOT_CONFIGURED","message":"lock store is not configured"}"#,
        ),
        (
            begin_try_lock(&scope(), "s", br#"{"expiryInSeconds":1}"#),
            400,
            r#"{"errorCode":"ERR_MALFORMED_REQUEST","message":"ResourceId is empty in lock store s"}"#,
        ),
        (
            begin_try_lock(&scope(), "s", br#"{"expiryInSeconds":1,"resourceId":"a||b"}"#),
            400,
            r#"{"errorCode":"ERR_MALFORMED_REQUEST","message":"LockOwner is empty in lock store s"}"#,
        ),
        (
            begin_try_lock(&scope(), "<s>&", full.as_bytes()),
            400,
            r#"{"errorCode":"ERR_LOCK_STORE_NOT_FOUND","message":"lock store \u003cs\u003e\u0026 not found"}"#,
        ),
        (
            begin_try_lock(&scope(), "lockstore", full.as_bytes()),
            500,
            r#"{"errorCode":"ERR_TRY_LOCK","message":"failed to try acquiring lock: input key/keyPrefix 'a||b' can't contain '||'"}"#,
        ),
    ];
    for (begun, status, body) in rows {
        let reply = begun.unwrap_err();
        assert_eq!((reply.status, text(&reply).as_str()), (status, body));
    }
    let reply = begin_unlock(&scope(), "lockstore", full.as_bytes()).unwrap_err();
    assert_eq!(
        text(&reply),
        r#"{"errorCode":"ERR_UNLOCK","message":"failed to release lock: input key/keyPrefix 'a||b' can't contain '||'"}"#
    );
    let reply = begin_unlock(&none, "s", b"").unwrap_err();
    assert_eq!(reply.status, 500);
}

#[test]
fn replies_byte_for_byte() {
    let unknown =
        |held_until| Failure::Unknown(UnknownOutcome { cause: "reply lost".into(), held_until });
    let rows = [
        (
            end_try_lock(Ok(Acquired::Granted(Grant { fencing_token: None, valid_for: None }))),
            200,
            r#"{"success":true}"#,
        ),
        (end_try_lock(Ok(Acquired::Held)), 200, r#"{"success":false}"#),
        (
            end_try_lock(Err(Failure::NotDone("no \"x\"".into()))),
            500,
            r#"{"errorCode":"ERR_TRY_LOCK","message":"failed to try acquiring lock: no \"x\""}"#,
        ),
        (
            end_try_lock(Err(unknown(Some(1_780_000_000_123)))),
            500,
            r#"{"errorCode":"ERR_TRY_LOCK","message":"failed to try acquiring lock: reply lost; the outcome is unknown: the lock may be held until 2026-05-28T20:26:40.123Z"}"#,
        ),
        (
            end_try_lock(Err(unknown(Some(u64::MAX)))),
            500,
            r#"{"errorCode":"ERR_TRY_LOCK","message":"failed to try acquiring lock: reply lost; the outcome is unknown: the lock may be held"}"#,
        ),
        (end_unlock(Ok(Released::Released)), 200, r#"{"status":0}"#),
        (end_unlock(Ok(Released::Missing)), 200, r#"{"status":1}"#),
        (end_unlock(Ok(Released::HeldByOther)), 200, r#"{"status":2}"#),
        (
            end_unlock(Err(unknown(None))),
            500,
            r#"{"errorCode":"ERR_UNLOCK","message":"failed to release lock: reply lost; the outcome is unknown: the lock may be free or still held"}"#,
        ),
    ];
    for (reply, status, body) in rows {
        assert_eq!((reply.status, text(&reply).as_str()), (status, body));
    }
}

proptest! {
    #[test]
    fn any_bytes_get_a_reply(body in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = try_lock(&body);
        let _ = begin_unlock(&scope(), "lockstore", &body);
    }

    #[test]
    fn any_text_around_json_gets_a_reply(body in r#"[{}\[\]":,\\ue0-9.+\-a-f ]{0,60}"#) {
        let _ = try_lock(&body);
    }

    #[test]
    fn every_valid_request_is_understood(resource in "\\PC{1,30}", owner in "\\PC{1,30}", seconds in 1..=i32::MAX) {
        let body = format!(
            r#"{{"resourceId":{},"lockOwner":{},"expiryInSeconds":{seconds}}}"#,
            serde_json::to_string(&resource).unwrap(),
            serde_json::to_string(&owner).unwrap(),
        );
        match try_lock(body) {
            Ok(command) => {
                prop_assert_eq!(command.key, format!("lock||app1||{resource}"));
                prop_assert_eq!(command.owner, owner);
                prop_assert_eq!(command.ttl, u64::from(seconds.unsigned_abs()) * 1000);
            }
            Err(reply) => prop_assert!(resource.contains("||"), "{}", text(&reply)),
        }
    }

    #[test]
    fn any_expiry_is_read_exactly(value in any::<i64>(), zeros in 0..5_usize) {
        let written = format!("{value}{}e-{zeros}", "0".repeat(zeros));
        match expiry(&written) {
            Ok(seconds) => prop_assert_eq!(Ok(seconds as i64), i32::try_from(value).map(i64::from)),
            Err(reply) => prop_assert!(i32::try_from(value).is_err() || value <= 0, "{}", text(&reply)),
        }
    }
}

//! One request: the call to Holdfast, and the fate of the request.

use serde_json::json;

use crate::{
    proxy::{GRANTED, NOT_FREE, Proxy, RELEASED},
    state::Fate,
};

const NUMBERED: &str =
    r#"{"success":true,"lockOwner":"o","fencingToken":"1795512345678901","validFor":"59.940s"}"#;

#[test]
fn a_request_goes_on_with_the_lock_and_frees_it_at_the_end_of_its_response() {
    let mut proxy = Proxy::with_lock(json!({}));
    let request = proxy.get("/a");
    assert_eq!(proxy.fate(request), Fate::Paused);
    assert!(proxy.pauses_body(request), "a body would take the headers along");
    let acquire = proxy.only_call();
    assert_eq!((acquire.verb(), acquire.resource()), ("acquire", "/a"));
    proxy.answer(&acquire, 200, GRANTED);
    assert_eq!(proxy.fate(request), Fate::GoesOn);
    assert!(!proxy.pauses_body(request));
    assert!(proxy.calls().is_empty());

    proxy.respond(request, false);
    proxy.respond_body(request, false);
    assert!(proxy.calls().is_empty(), "the response is not over");
    proxy.respond_body(request, true);
    let release = proxy.only_call();
    assert_eq!(
        (release.verb(), release.resource(), release.owner()),
        ("release", "/a", acquire.owner())
    );
    proxy.answer(&release, 200, RELEASED);
    proxy.end(request);
    assert!(proxy.calls().is_empty());
    assert_eq!(proxy.log(), [""; 0]);
}

#[test]
fn the_end_of_a_response_may_be_its_headers_or_its_trailers() {
    let mut proxy = Proxy::with_lock(json!({}));
    for ends in [
        |proxy: &mut Proxy, id| proxy.respond(id, true),
        |proxy: &mut Proxy, id| {
            proxy.respond(id, false);
            proxy.respond_trailers(id);
        },
    ] {
        let request = proxy.get("/a");
        proxy.answer_only(200, GRANTED);
        ends(&mut proxy, request);
        assert_eq!(proxy.only_call().verb(), "release");
        proxy.end(request);
        proxy.answer_only(200, RELEASED);
    }
}

#[test]
fn a_request_without_the_lock_is_refused_as_its_lock_says() {
    let refused = json!({"status": 429, "retryAfter": "2.5s", "contentType": "application/json", "body": "{}"});
    let mut proxy = Proxy::with_lock(json!({ "refused": refused }));
    let request = proxy.get("/a");
    proxy.answer_only(200, NOT_FREE);
    let headers = [("content-type", "application/json"), ("retry-after", "3")];
    let refused = Fate::Refused {
        status: 429,
        details: "holdfast_lock_held".to_owned(),
        body: "{}".to_owned(),
        headers: headers.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
    };
    assert_eq!(proxy.fate(request), refused);
    // The refusal is a response like others.
    proxy.complete(request);
    assert!(proxy.calls().is_empty(), "there is nothing to free");

    let mut proxy = Proxy::with_lock(json!({"refused": {"retryAfter": "0s"}}));
    let request = proxy.get("/a");
    proxy.answer_only(200, NOT_FREE);
    let Fate::Refused { status, headers, body, .. } = proxy.fate(request) else {
        panic!("not refused")
    };
    assert_eq!((status, body.as_str()), (503, "the lock is not free: try again later\n"));
    assert_eq!(headers, [("content-type".to_owned(), "text/plain".to_owned())]);
}

#[test]
fn a_request_that_no_lock_is_for_goes_on() {
    let lock = |name: &str, path: &str| json!({"name": name, "match": {"pathPrefix": path}, "store": name, "resource": "r", "ttl": "1s"});
    let mut proxy = Proxy::with_locks(json!([lock("a", "/a"), lock("ab", "/ab"), lock("b", "/b")]));
    let request = proxy.get("/other");
    assert_eq!(proxy.fate(request), Fate::GoesOn);
    proxy.complete(request);
    assert!(proxy.calls().is_empty());

    proxy.get("/abc");
    assert_eq!(
        proxy.only_call().header(":path"),
        Some("/v1.0/leases/a/acquire"),
        "the first that is for it"
    );
}

#[test]
fn the_upstream_sees_the_number_of_the_grant_and_never_the_clients() {
    let forged =
        [(":path", "/a"), ("holdfast-fencing-token", "99"), ("holdfast-fencing-token", "98")];
    let mut proxy = Proxy::with_lock(json!({"fenced": true}));
    let request = proxy.request(&forged);
    assert_eq!(proxy.header(request, "holdfast-fencing-token"), None);
    proxy.answer_only(200, NUMBERED);
    assert_eq!(
        proxy.header(request, "holdfast-fencing-token").as_deref(),
        Some("1795512345678901")
    );
    assert_eq!(proxy.fate(request), Fate::GoesOn);

    let mut proxy = Proxy::with_lock(json!({"match": {"pathPrefix": "/b"}}));
    let unlocked = proxy.request(&forged);
    assert_eq!(proxy.header(unlocked, "holdfast-fencing-token"), None);
    let unnumbered = proxy.request(&[(":path", "/b"), ("holdfast-fencing-token", "99")]);
    proxy.answer_only(200, NUMBERED);
    assert_eq!(proxy.header(unnumbered, "holdfast-fencing-token"), None);
}

#[test]
fn values_of_one_header_are_joined() {
    let mut proxy = Proxy::with_lock(json!({"resource": "{x-tenant}{x-none}"}));
    proxy.request(&[(":path", "/"), ("x-tenant", "a"), ("x-tenant", "b|c")]);
    assert_eq!(proxy.only_call().resource(), "a,b%7Cc");
}

/// Answers after which nobody knows who has the lock; none: there is no answer.
const NO_VERDICT: [Option<(u16, &str)>; 6] = [
    None,
    Some((500, r#"{"errorCode":"ERR_LEASE_ACQUIRE","message":"the outcome is unknown"}"#)),
    Some((503, "upstream connect error")),
    Some((504, "upstream request timeout")),
    Some((200, "")),
    Some((200, r#"{"success":"#)),
];

#[test]
fn in_doubt_the_owner_is_released_and_the_lock_says_what_happens() {
    for answer in NO_VERDICT {
        for (in_doubt, goes_on) in [("closed", false), ("open", true)] {
            let mut proxy = Proxy::with_lock(json!({"inDoubt": in_doubt}));
            let request = proxy.get("/a");
            let acquire = proxy.only_call();
            match answer {
                Some((status, body)) => proxy.answer(&acquire, status, body),
                None => proxy.lose(&acquire),
            }
            if goes_on {
                assert_eq!(proxy.fate(request), Fate::GoesOn);
            } else {
                assert!(proxy.is_refused(request, "holdfast_lock_in_doubt"), "{answer:?}");
            }
            let release = proxy.only_call();
            assert_eq!((release.verb(), release.owner()), ("release", acquire.owner()));
            let log = proxy.log();
            assert!(
                log[0].starts_with("holdfast: lock all: nobody knows who has /a in lockstore: "),
                "{log:?}"
            );
            proxy.answer(&release, 200, RELEASED);
            proxy.complete(request);
            assert!(proxy.calls().is_empty(), "it is released once");
        }
    }
}

#[test]
fn a_grant_without_its_number_is_in_doubt() {
    let mut proxy = Proxy::with_lock(json!({"fenced": true}));
    let request = proxy.get("/a");
    proxy.answer_only(200, GRANTED);
    assert!(proxy.is_refused(request, "holdfast_lock_in_doubt"));
    assert_eq!(proxy.only_call().verb(), "release");
}

#[test]
fn a_call_that_is_not_sent_is_in_doubt() {
    for (in_doubt, goes_on) in [("closed", false), ("open", true)] {
        let mut proxy = Proxy::with_lock(json!({"inDoubt": in_doubt}));
        proxy.sends_calls(false);
        let request = proxy.get("/a");
        if goes_on {
            assert_eq!(proxy.fate(request), Fate::GoesOn);
        } else {
            assert!(proxy.is_refused(request, "holdfast_lock_in_doubt"));
        }
        let log = proxy.log();
        assert!(log[0].contains("the proxy does not call its cluster holdfast"), "{log:?}");
        proxy.complete(request);
        proxy.sends_calls(true);
        proxy.get("/a");
        assert_eq!(proxy.only_call().verb(), "acquire");
    }
}

#[test]
fn owners_are_never_used_again() {
    let mut proxy = Proxy::with_lock(json!({}));
    let mut owners = Vec::new();
    for _ in 0..20 {
        let request = proxy.get("/a");
        owners.push(proxy.only_call().owner().to_owned());
        proxy.answer_only(200, NOT_FREE);
        proxy.complete(request);
    }
    owners.sort();
    owners.dedup();
    assert_eq!(owners.len(), 20);
}

#[test]
fn an_unrequested_answer_is_ignored() {
    let mut proxy = Proxy::with_lock(json!({}));
    let request = proxy.get("/a");
    proxy.answer_nothing(77);
    assert_eq!(proxy.fate(request), Fate::Paused);
    assert_eq!(proxy.calls().len(), 1);
}

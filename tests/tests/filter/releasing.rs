//! Releases that fail.

use serde_json::json;

use crate::{
    proxy::{GRANTED, Proxy, RELEASED},
    state::{Call, Fate},
};

/// A proxy whose request holds the lock of `/a` for this long at most, and its owner.
fn holding(ttl: &str) -> (Proxy, u32, String) {
    let mut proxy = Proxy::with_lock(json!({"ttl": ttl}));
    let request = proxy.get("/a");
    let owner = proxy.only_call().owner().to_owned();
    proxy.answer_only(200, GRANTED);
    (proxy, request, owner)
}

/// Ends a call.
type Fail = fn(&mut Proxy, &Call);

/// How a release fails, so that another try may pass.
const FAILURES: [(Fail, &str); 4] = [
    (|proxy, call| proxy.answer(call, 500, "no Redis\n"), "the answer is 500 no Redis?"),
    (|proxy, call| proxy.answer(call, 503, "no host"), "the answer is 503 no host"),
    (|proxy, call| proxy.answer(call, 429, "too many"), "the answer is 429 too many"),
    (|proxy, call| proxy.lose(call), "Holdfast did not answer"),
];

#[test]
fn a_release_that_fails_is_tried_again_with_growing_pauses() {
    for (fail, reason) in FAILURES {
        let (mut proxy, request, owner) = holding("60s");
        proxy.complete(request);
        for pause in [100, 200, 400, 800, 1_600, 3_200, 5_000, 5_000] {
            let release = proxy.only_call();
            assert_eq!((release.verb(), release.owner()), ("release", owner.as_str()));
            fail(&mut proxy, &release);
            assert!(proxy.calls().is_empty());
            proxy.pass(pause - 1);
            assert!(proxy.calls().is_empty(), "{pause}");
            proxy.pass(1);
        }
        proxy.answer_only(200, RELEASED);
        assert_eq!(proxy.tick_period(), 0);
        let line = "holdfast: /a in lockstore is not released yet, retrying: ";
        assert_eq!(proxy.log(), [format!("{line}{reason}")], "it is logged once");
    }
}

#[test]
fn a_release_that_is_not_sent_is_tried_again() {
    let (mut proxy, request, owner) = holding("60s");
    proxy.sends_calls(false);
    proxy.complete(request);
    proxy.pass(200);
    assert!(proxy.calls().is_empty());
    proxy.sends_calls(true);
    proxy.pass(100);
    assert_eq!(proxy.only_call().owner(), owner);
    let line = "holdfast: /a in lockstore is not released yet, retrying: the proxy does not call its cluster holdfast";
    assert_eq!(proxy.log(), [line]);
}

#[test]
fn what_was_granted_to_a_request_that_is_gone_or_is_in_doubt_is_tried_again() {
    for answer in [Some(GRANTED), None] {
        let mut proxy = Proxy::with_lock(json!({}));
        let request = proxy.get("/a");
        let acquire = proxy.only_call();
        proxy.end(request);
        match answer {
            Some(granted) => proxy.answer(&acquire, 200, granted),
            None => proxy.lose(&acquire),
        }
        let release = proxy.only_call();
        proxy.lose(&release);
        proxy.pass(100);
        let again = proxy.only_call();
        assert_eq!((again.verb(), again.owner()), ("release", acquire.owner()));
    }
}

#[test]
fn a_lock_that_has_expired_is_not_released_any_more() {
    let (mut proxy, request, _) = holding("1s");
    proxy.pass(300);
    proxy.complete(request);
    for pause in [100, 200] {
        let release = proxy.only_call();
        proxy.lose(&release);
        proxy.pass(pause);
    }
    proxy.answer_only(500, "");
    assert_eq!(proxy.tick_period(), 0, "the next try would come after a second");
    proxy.pass(10_000);
    assert!(proxy.calls().is_empty());
    let last = proxy.log().pop().unwrap();
    assert_eq!(
        last,
        "holdfast: /a in lockstore may stay locked until it expires: the answer is 500 "
    );
}

#[test]
fn a_release_that_is_refused_is_not_tried_again() {
    for status in [400, 401, 404] {
        let (mut proxy, request, _) = holding("60s");
        proxy.complete(request);
        proxy.answer_only(status, "no");
        assert_eq!(proxy.tick_period(), 0);
        let line = format!(
            "holdfast: /a in lockstore may stay locked until it expires: the answer is {status} no"
        );
        assert_eq!(proxy.log(), [line]);
    }
}

#[test]
fn the_next_request_asks_while_a_release_waits_for_its_next_try() {
    let (mut proxy, request, owner) = holding("60s");
    proxy.complete(request);
    proxy.answer_only(500, "");
    let next = proxy.get("/a");
    let acquire = proxy.only_call();
    assert_eq!(acquire.verb(), "acquire");
    proxy.pass(100);
    let calls = proxy.calls();
    assert_eq!((calls[1].verb(), calls[1].owner()), ("release", owner.as_str()));
    proxy.answer(&calls[1], 200, RELEASED);
    assert_eq!(proxy.fate(next), Fate::Paused, "its own call is not answered");
    proxy.answer(&acquire, 200, GRANTED);
    assert_eq!(proxy.fate(next), Fate::GoesOn);
    assert!(proxy.calls().is_empty());
}

#[test]
fn a_configuration_ends_when_its_last_release_has_passed_or_is_given_up() {
    for passes in [true, false] {
        let (mut proxy, request, _) = holding("1s");
        proxy.complete(request);
        proxy.answer_only(500, "");
        assert!(!proxy.end_root());
        proxy.pass(100);
        assert!(!proxy.is_done());
        if passes {
            proxy.answer_only(200, RELEASED);
        } else {
            proxy.sends_calls(false);
            proxy.answer_only(500, "");
            assert!(!proxy.is_done());
            proxy.pass(1_000);
        }
        assert!(proxy.is_done());
    }
}

/// Otherwise a long failure would fill the memory, and a short one would be followed by a flood.
#[test]
fn the_number_of_retried_releases_is_bounded() {
    let mut proxy = Proxy::with_lock(json!({"inDoubt": "open"}));
    for number in 0..4_097 {
        let request = proxy.get(&format!("/{number}"));
        proxy.answer_only(200, GRANTED);
        proxy.complete(request);
        proxy.answer_only(500, "");
    }
    proxy.pass(100);
    assert_eq!(proxy.calls().len(), 4_096);
    let log = proxy.log();
    let given_up: Vec<_> = log.iter().filter(|line| line.contains("may stay locked")).collect();
    assert_eq!(given_up.len(), 1);
    assert!(given_up[0].starts_with("holdfast: /4096 in lockstore "), "{given_up:?}");
}

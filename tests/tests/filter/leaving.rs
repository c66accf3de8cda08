//! Clients that leave, at each step.

use serde_json::json;

use crate::{
    proxy::{GRANTED, NOT_FREE, Proxy, RELEASED},
    state::Fate,
};

#[test]
fn a_grant_for_a_request_that_is_gone_is_released() {
    for gone in ["keep", "free"] {
        let mut proxy = Proxy::with_lock(json!({"onClientGone": gone}));
        let request = proxy.get("/a");
        let acquire = proxy.only_call();
        proxy.end(request);
        assert_eq!(proxy.calls().len(), 1, "nobody knows yet whether there is something to free");
        proxy.answer(&acquire, 200, GRANTED);
        let release = proxy.only_call();
        assert_eq!((release.verb(), release.owner()), ("release", acquire.owner()));
        proxy.answer(&release, 200, RELEASED);
        assert!(proxy.calls().is_empty());
    }
}

#[test]
fn a_grant_is_not_given_to_a_later_request_with_the_same_id() {
    let mut proxy = Proxy::with_lock(json!({}));
    proxy.request_with_id(9, &[(":path", "/a")]);
    let acquire = proxy.only_call();
    proxy.end(9);
    proxy.request_with_id(9, &[(":path", "/b")]);
    proxy.answer(&acquire, 200, GRANTED);
    assert_eq!(proxy.fate(9), Fate::Paused);
    let calls: Vec<_> = proxy.calls().iter().map(|call| call.verb().to_owned()).collect();
    assert_eq!(calls, ["acquire", "release"]);
}

#[test]
fn what_is_in_doubt_for_a_request_that_is_gone_is_released() {
    let mut proxy = Proxy::with_lock(json!({}));
    let request = proxy.get("/a");
    proxy.end(request);
    proxy.answer_only(500, "");
    assert_eq!(proxy.only_call().verb(), "release");
}

#[test]
fn a_refusal_for_a_request_that_is_gone_needs_nothing() {
    let mut proxy = Proxy::with_lock(json!({}));
    let request = proxy.get("/a");
    proxy.end(request);
    proxy.answer_only(200, NOT_FREE);
    assert!(proxy.calls().is_empty());
}

#[test]
fn the_lock_of_a_client_that_left_is_kept_or_freed() {
    for (gone, freed) in [("keep", false), ("free", true)] {
        for part in [false, true] {
            let mut proxy = Proxy::with_lock(json!({"onClientGone": gone}));
            let request = proxy.get("/a");
            let acquire = proxy.only_call();
            proxy.answer(&acquire, 200, GRANTED);
            if part {
                proxy.respond(request, false);
                proxy.respond_body(request, false);
            }
            proxy.end(request);
            if freed {
                assert_eq!(
                    (proxy.only_call().verb(), proxy.only_call().owner()),
                    ("release", acquire.owner())
                );
            } else {
                assert!(proxy.calls().is_empty());
                let next = proxy.get("/a");
                assert_eq!(
                    proxy.only_call().verb(),
                    "acquire",
                    "the next asks whether it has expired"
                );
                assert_eq!(proxy.fate(next), Fate::Paused);
            }
        }
    }
}

#[test]
fn a_client_that_leaves_after_its_response_frees_nothing_again() {
    for gone in ["keep", "free"] {
        let mut proxy = Proxy::with_lock(json!({"onClientGone": gone}));
        let request = proxy.get("/a");
        proxy.answer_only(200, GRANTED);
        proxy.respond(request, true);
        proxy.answer_only(200, RELEASED);
        proxy.end(request);
        assert!(proxy.calls().is_empty());
    }
}

/// The proxy itself answers a request that waited too long for its lock.
#[test]
fn the_proxys_own_answer_to_a_paused_request_gives_up_its_place() {
    let mut proxy = Proxy::with_lock(json!({"wait": "5s"}));
    let asking = proxy.get("/a");
    let waiting = proxy.get("/a");
    let acquire = proxy.only_call();
    for request in [asking, waiting] {
        proxy.respond(request, false);
        proxy.respond_body(request, true);
    }
    assert_eq!(proxy.tick_period(), 0);
    proxy.answer(&acquire, 200, GRANTED);
    assert_eq!(proxy.only_call().verb(), "release");
    proxy.answer_only(200, RELEASED);
    assert!(proxy.calls().is_empty());
    assert_eq!((proxy.fate(asking), proxy.fate(waiting)), (Fate::Paused, Fate::Paused));
}

#[test]
fn a_configuration_ends_when_its_last_lock_is_freed() {
    let mut proxy = Proxy::with_lock(json!({}));
    assert!(proxy.end_root(), "there is nothing to wait for");

    let mut proxy = Proxy::with_lock(json!({}));
    let requests = [proxy.get("/a"), proxy.get("/b")];
    for call in proxy.calls() {
        proxy.answer(&call, 200, GRANTED);
    }
    for request in requests {
        proxy.complete(request);
    }
    assert!(!proxy.end_root());
    let [first, second] = &proxy.calls()[..] else { panic!("{:?}", proxy.calls()) };
    proxy.answer(first, 200, RELEASED);
    assert!(!proxy.is_done());
    proxy.answer(second, 200, RELEASED);
    assert!(proxy.is_done());
}

/// The upstream may still work, as when a client has left.
#[test]
fn a_proxy_that_gives_up_is_as_a_client_that_leaves() {
    for (gone, released) in [("keep", false), ("free", true)] {
        let mut proxy = Proxy::with_lock(json!({"onClientGone": gone}));
        let request = proxy.get("/a");
        proxy.answer_only(200, GRANTED);
        proxy.give_up(request);
        let calls: Vec<_> = proxy.calls().iter().map(|call| call.verb().to_owned()).collect();
        assert_eq!(calls == ["release"], released, "{gone}: {calls:?}");
        assert_eq!(calls.is_empty(), !released);
    }
}

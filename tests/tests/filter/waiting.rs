//! Several requests for one lock.

use serde_json::json;

use crate::{
    proxy::{GRANTED, NOT_FREE, Proxy, RELEASED},
    state::{Call, Fate},
};

fn waits(seconds: &str) -> Proxy {
    Proxy::with_lock(json!({"wait": seconds}))
}

fn verb_and_wait(call: &Call) -> (String, Option<&str>) {
    (call.verb().to_owned(), call.body["wait"].as_str())
}

#[test]
fn requests_get_the_lock_in_the_order_in_which_they_came() {
    let mut proxy = waits("10s");
    let requests: Vec<_> = (0..20).map(|_| proxy.get("/a")).collect();
    for request in requests {
        let acquire = proxy.only_call();
        assert_eq!(acquire.verb(), "acquire", "only the first asks");
        assert_eq!(proxy.fate(request), Fate::Paused);
        proxy.answer(&acquire, 200, GRANTED);
        assert_eq!(proxy.fate(request), Fate::GoesOn);
        proxy.pass(100);
        assert!(proxy.calls().is_empty(), "nobody asks for a lock that is held here");
        proxy.complete(request);
        let release = proxy.only_call();
        assert_eq!(release.verb(), "release", "the next asks when the lock is free, not before");
        proxy.answer(&release, 200, RELEASED);
    }
    assert!(proxy.calls().is_empty());
    assert_eq!(proxy.tick_period(), 0);
}

#[test]
fn other_locks_do_not_wait() {
    let mut proxy = waits("10s");
    proxy.get("/a");
    proxy.get("/b");
    let resources: Vec<_> = proxy.calls().iter().map(|call| call.resource().to_owned()).collect();
    assert_eq!(resources, ["/a", "/b"]);
}

#[test]
fn the_next_asks_for_as_long_as_it_still_may_wait() {
    let mut proxy = waits("10s");
    let first = proxy.get("/a");
    proxy.answer_only(200, GRANTED);
    proxy.pass(500);
    proxy.get("/a");
    proxy.pass(2_250);
    proxy.complete(first);
    proxy.answer_only(200, RELEASED);
    let call = proxy.only_call();
    assert_eq!(verb_and_wait(&call), ("acquire".to_owned(), Some("7.750s")));
    assert_eq!(call.timeout, 8_750);
}

#[test]
fn a_request_that_was_refused_lets_the_next_ask() {
    let mut proxy = waits("10s");
    let (first, second) = (proxy.get("/a"), proxy.get("/a"));
    proxy.answer_only(200, NOT_FREE);
    assert!(proxy.is_refused(first, "holdfast_lock_held"));
    proxy.answer_only(200, GRANTED);
    assert_eq!(proxy.fate(second), Fate::GoesOn);
}

#[test]
fn a_wait_ends_in_time_and_ticks_come_only_for_it() {
    let mut proxy = waits("2s");
    let holder = proxy.get("/a");
    proxy.answer_only(200, GRANTED);
    assert_eq!(proxy.tick_period(), 0, "nobody waits");
    let first = proxy.get("/a");
    assert_eq!(proxy.tick_period(), 2_000);
    proxy.pass(700);
    let second = proxy.get("/a");
    assert_eq!(proxy.tick_period(), 2_000, "the first is the first to be over");
    proxy.pass(1_299);
    assert_eq!(proxy.fate(first), Fate::Paused);
    proxy.pass(1);
    assert!(proxy.is_refused(first, "holdfast_lock_held"));
    assert_eq!(proxy.fate(second), Fate::Paused);
    assert_eq!(proxy.tick_period(), 700);
    proxy.end(second);
    assert_eq!(proxy.tick_period(), 0);

    proxy.complete(holder);
    proxy.answer_only(200, RELEASED);
    assert!(proxy.calls().is_empty(), "those who are gone ask for nothing");
}

#[test]
fn a_caller_that_does_not_wait_is_refused_at_once_while_another_holds_or_waits() {
    let mut proxy = Proxy::with_lock(json!({}));
    let first = proxy.get("/a");
    proxy.answer_only(200, GRANTED);
    let second = proxy.get("/a");
    assert!(proxy.is_refused(second, "holdfast_lock_held"));
    assert_eq!(proxy.fate(first), Fate::GoesOn);

    let lock = |name: &str, wait: &str| json!({"name": name, "match": {"methods": [name]}, "store": "s", "resource": "r", "ttl": "60s", "wait": wait});
    let mut proxy = Proxy::with_locks(json!([lock("PUT", "10s"), lock("GET", "0s")]));
    proxy.request(&[(":method", "PUT")]);
    let second = proxy.get("/a");
    assert!(proxy.is_refused(second, "holdfast_lock_held"));
}

/// Otherwise an `open` lock would refuse requests that come while nobody knows yet whether Holdfast is there.
#[test]
fn a_caller_that_does_not_wait_shares_the_answer_to_a_try_under_way() {
    for (answer, verdicts) in [
        ((200, GRANTED), ["", "holdfast_lock_held", "holdfast_lock_held"]),
        ((200, NOT_FREE), ["holdfast_lock_held"; 3]),
        ((504, ""), ["holdfast_lock_in_doubt", "holdfast_lock_in_doubt", ""]),
    ] {
        let lock = |name: &str, in_doubt: &str| json!({"name": name, "match": {"methods": [name]}, "store": "s", "resource": "r", "ttl": "60s", "inDoubt": in_doubt});
        let mut proxy = Proxy::with_locks(json!([lock("GET", "closed"), lock("PUT", "open")]));
        let requests = ["GET", "GET", "PUT"].map(|method| proxy.request(&[(":method", method)]));
        for request in requests {
            assert_eq!(proxy.fate(request), Fate::Paused);
        }
        let (status, body) = answer;
        proxy.answer_only(status, body);
        for (request, verdict) in requests.into_iter().zip(verdicts) {
            match verdict {
                "" => assert_eq!(proxy.fate(request), Fate::GoesOn),
                why => assert!(proxy.is_refused(request, why)),
            }
        }
        assert_eq!(proxy.tick_period(), 0);
    }
}

/// The answer would be about a lock that nobody uses.
#[test]
fn a_caller_that_does_not_wait_tries_when_the_try_under_way_was_for_one_that_left() {
    let mut proxy = Proxy::with_lock(json!({}));
    let first = proxy.get("/a");
    let second = proxy.get("/a");
    proxy.end(first);
    proxy.answer_only(200, GRANTED);
    assert_eq!(proxy.fate(second), Fate::Paused);
    proxy.answer_only(200, RELEASED);
    proxy.answer_only(200, GRANTED);
    assert_eq!(proxy.fate(second), Fate::GoesOn);
}

/// A client that has its response may come again before the release is answered.
#[test]
fn a_lock_that_is_about_to_be_free_is_waited_for_by_all() {
    let mut proxy = Proxy::with_lock(json!({}));
    let first = proxy.get("/a");
    proxy.answer_only(200, GRANTED);
    proxy.complete(first);
    let (second, third) = (proxy.get("/a"), proxy.get("/a"));
    assert_eq!((proxy.fate(second), proxy.fate(third)), (Fate::Paused, Fate::Paused));
    assert_eq!(proxy.tick_period(), 0);
    proxy.answer_only(200, RELEASED);
    assert_eq!(verb_and_wait(&proxy.only_call()), ("acquire".to_owned(), Some("0s")));
    proxy.answer_only(200, GRANTED);
    assert_eq!(proxy.fate(second), Fate::GoesOn);
    assert!(proxy.is_refused(third, "holdfast_lock_held"), "the lock has gone to the second");
}

#[test]
fn a_wait_that_ends_during_a_release_gets_its_try() {
    let mut proxy = waits("1s");
    let first = proxy.get("/a");
    proxy.answer_only(200, GRANTED);
    let (second, third) = (proxy.get("/a"), proxy.get("/a"));
    proxy.complete(first);
    proxy.pass(1_500);
    assert_eq!((proxy.fate(second), proxy.fate(third)), (Fate::Paused, Fate::Paused));
    assert_eq!(proxy.tick_period(), 0);
    proxy.answer_only(200, RELEASED);
    proxy.answer_only(200, GRANTED);
    assert_eq!(proxy.fate(second), Fate::GoesOn);
    assert!(proxy.is_refused(third, "holdfast_lock_held"), "the lock has gone to the second");
}

#[test]
fn a_request_that_waits_and_leaves_gives_up_its_place() {
    let mut proxy = waits("10s");
    let (first, second, third) = (proxy.get("/a"), proxy.get("/a"), proxy.get("/a"));
    proxy.answer_only(200, GRANTED);
    proxy.end(second);
    proxy.complete(first);
    proxy.answer_only(200, RELEASED);
    proxy.answer_only(200, GRANTED);
    assert_eq!(proxy.fate(third), Fate::GoesOn);
}

#[test]
fn the_next_asks_when_a_lock_in_doubt_is_released() {
    let mut proxy = Proxy::with_lock(json!({"wait": "10s", "inDoubt": "open"}));
    let (first, second) = (proxy.get("/a"), proxy.get("/a"));
    proxy.answer_only(500, "");
    assert_eq!(proxy.fate(first), Fate::GoesOn);
    assert_eq!(proxy.only_call().verb(), "release");
    proxy.answer_only(200, RELEASED);
    proxy.answer_only(200, GRANTED);
    assert_eq!(proxy.fate(second), Fate::GoesOn);
    proxy.complete(first);
    assert!(proxy.calls().is_empty(), "it had no lock");
}

/// Otherwise an `open` lock would refuse all but one request while Holdfast is down.
#[test]
fn a_caller_that_cannot_ask_shares_the_doubt_of_the_latest_that_did() {
    let mut proxy = Proxy::with_locks(json!([
        {"name": "waits", "match": {"methods": ["PUT"]}, "store": "s", "resource": "r", "ttl": "60s", "wait": "3s", "inDoubt": "open"},
        {"name": "once", "store": "s", "resource": "r", "ttl": "60s", "inDoubt": "open"},
    ]));
    let put = |proxy: &mut Proxy| proxy.request(&[(":method", "PUT"), (":path", "/")]);
    let (first, second, third) = (put(&mut proxy), put(&mut proxy), put(&mut proxy));
    proxy.answer_only(504, "");
    assert_eq!(proxy.fate(first), Fate::GoesOn);
    proxy.answer_only(200, RELEASED);
    let once = proxy.get("/");
    assert_eq!(proxy.fate(once), Fate::GoesOn);
    proxy.pass(3_000);
    assert_eq!((proxy.fate(second), proxy.fate(third)), (Fate::Paused, Fate::GoesOn));
    proxy.answer_only(200, GRANTED);
    let once = proxy.get("/");
    assert!(proxy.is_refused(once, "holdfast_lock_held"), "now it is known who has it");
}

#[test]
fn a_cluster_that_is_not_there_keeps_nobody_waiting() {
    let mut proxy = waits("10s");
    let first = proxy.get("/a");
    proxy.answer_only(200, GRANTED);
    let others: Vec<_> = (0..100).map(|_| proxy.get("/a")).collect();
    proxy.sends_calls(false);
    proxy.complete(first);
    for request in others {
        assert!(proxy.is_refused(request, "holdfast_lock_in_doubt"));
    }
    assert_eq!(proxy.tick_period(), 100, "only the release is tried again");
}

/// Otherwise a crowd for one lock would take the memory of its proxy, and the time of all who wait.
#[test]
fn the_number_of_waiters_for_one_lock_is_bounded() {
    let mut proxy = Proxy::with_lock(json!({"wait": "10s", "maxWaiting": 2, "inDoubt": "open"}));
    let (asking, waiting) = (proxy.get("/a"), proxy.get("/a"));
    let crowded = |proxy: &mut Proxy| {
        let request = proxy.get("/a");
        proxy.is_refused(request, "holdfast_lock_crowded")
    };
    assert!(crowded(&mut proxy));
    let other = proxy.get("/b");
    assert_eq!(proxy.fate(other), Fate::Paused);
    let acquire = proxy.calls().remove(0);
    proxy.answer(&acquire, 200, GRANTED);
    assert_eq!((proxy.fate(asking), proxy.fate(waiting)), (Fate::GoesOn, Fate::Paused));

    let leaving = proxy.get("/a");
    assert_eq!(proxy.fate(leaving), Fate::Paused, "who has the lock does not wait");
    assert!(crowded(&mut proxy));
    proxy.end(leaving);
    let next = proxy.get("/a");
    assert_eq!(proxy.fate(next), Fate::Paused);
}

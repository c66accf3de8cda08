//! Clients and proxies that leave.

use std::time::Duration;

use futures_util::future::join_all;
use holdfast_tests::{envoy::Envoy, eventually};
use rustix::process::Signal;
use serde_json::json;

use super::edge::{Edge, Way, every_way};

every_way! {
    aborted_requests_leave_no_lock_that_is_freed,
    aborted_requests_leave_no_lock_beyond_its_time,
    a_client_that_leaves_keeps_the_lock,
    a_client_that_leaves_frees_the_lock,
    a_client_that_waits_leaves_its_place,
    a_proxy_that_gives_up_keeps_the_lock,
    a_proxy_that_gives_up_frees_the_lock,
}

/// Sends requests and aborts each of them at another time, from its first moment to its end.
async fn abort(edge: &Edge, requests: u64) -> Option<()> {
    let (one, other) = (edge.envoy().await?, edge.envoy().await?);
    let aborted = (0..requests).map(|request| {
        let envoy = if request % 2 == 0 { &one } else { &other };
        // Ten requests for each key, so that some hold their locks and others wait.
        let asked = envoy.get(&format!("/reports/{}", request % 30)).send();
        let moment = Duration::from_micros(request * 97 % 60_000);
        async move { tokio::time::timeout(moment, asked).await.is_err() }
    });
    let aborted = join_all(aborted).await;
    assert!(aborted.iter().any(|aborted| *aborted));
    eventually("the upstream ends", async || edge.upstream.working() == 0).await;
    edge.is_free().await;
    // No request is left that would take a lock later.
    assert_eq!(one.status("/reports/1").await, 200, "{}", one.log());
    edge.is_free().await;
    Some(())
}

async fn aborted_requests_leave_no_lock_that_is_freed(way: Way) {
    let edge = Edge::working_for(way, 20, json!({ "onClientGone": "free" })).await;
    abort(&edge, 300).await;
}

async fn aborted_requests_leave_no_lock_beyond_its_time(way: Way) {
    let edge = Edge::working_for(way, 20, json!({ "onClientGone": "keep", "ttl": "1s" })).await;
    abort(&edge, 300).await;
}

/// Sends the first request, leaves once it has reached the upstream, and waits until Envoy has dropped it.
async fn leave(edge: &Edge, envoy: &Envoy) {
    let leaving = tokio::spawn(envoy.get("/reports/a").send());
    edge.upstream.wait_for(1).await;
    leaving.abort();
    assert!(leaving.await.unwrap_err().is_cancelled());
    eventually("Envoy notices it", async || edge.upstream.left() == 1).await;
}

async fn a_client_that_leaves_keeps_the_lock(way: Way) {
    let edge = Edge::held(way, json!({ "onClientGone": "keep", "ttl": "5s" })).await;
    let Some(envoy) = edge.envoy().await else { return };
    leave(&edge, &envoy).await;
    let next = tokio::spawn(envoy.get("/reports/a").send());
    edge.upstream.allow(1);
    eventually("the work of the first ends", async || {
        assert_eq!(edge.upstream.peak(), 1, "{}", edge.holdfast.log());
        edge.upstream.working() == 0
    })
    .await;
    edge.upstream.allow(1);
    assert_eq!(next.await.unwrap().unwrap().status(), 200, "{}", envoy.log());
    assert_eq!((edge.upstream.asked(), edge.upstream.peak()), (2, 1));
}

async fn a_client_that_leaves_frees_the_lock(way: Way) {
    let edge = Edge::held(way, json!({ "onClientGone": "free" })).await;
    let Some(envoy) = edge.envoy().await else { return };
    leave(&edge, &envoy).await;
    let next = tokio::spawn(envoy.get("/reports/a").send());
    edge.upstream.wait_for(2).await;
    assert_eq!(edge.upstream.peak(), 2, "the first one's work goes on");
    edge.upstream.allow(2);
    assert_eq!(next.await.unwrap().unwrap().status(), 200, "{}", envoy.log());
    edge.is_free().await;
}

async fn a_client_that_waits_leaves_its_place(way: Way) {
    let edge = Edge::held(way, json!({ "onClientGone": "keep" })).await;
    let Some(envoy) = edge.envoy().await else { return };
    let first = tokio::spawn(envoy.get("/reports/a").send());
    edge.upstream.wait_for(1).await;
    let patience = Duration::from_millis(300);
    let waiting = (0..5).map(|_| envoy.get("/reports/a").timeout(patience).send());
    for left in join_all(waiting).await {
        assert!(left.unwrap_err().is_timeout());
    }
    edge.upstream.allow(1);
    assert_eq!(first.await.unwrap().unwrap().status(), 200, "{}", envoy.log());
    edge.is_free().await;
    assert_eq!(edge.upstream.asked(), 1);
}

/// An Envoy that waits no longer for the upstream, which still works.
async fn given_up(way: Way, on_client_gone: &str) -> Option<(Edge, Envoy)> {
    let edge = Edge::held(way, json!({ "wait": "0s", "onClientGone": on_client_gone })).await;
    let edge = edge.change("timeout: 30s", "timeout: 0.3s");
    let envoy = edge.envoy().await?;
    assert_eq!(envoy.status("/reports/a").await, 504, "{}", envoy.log());
    Some((edge, envoy))
}

async fn a_proxy_that_gives_up_keeps_the_lock(way: Way) {
    let Some((edge, envoy)) = given_up(way, "keep").await else { return };
    assert_eq!(envoy.status("/reports/a").await, 503, "{}", envoy.log());
    assert_eq!((edge.upstream.asked(), edge.keys().len()), (1, 1));
    edge.upstream.allow(1);
}

async fn a_proxy_that_gives_up_frees_the_lock(way: Way) {
    let Some((edge, _envoy)) = given_up(way, "free").await else { return };
    edge.is_free().await;
    edge.upstream.allow(1);
}

/// Only the external processor notices: the filter ends with its Envoy.
#[tokio::test]
async fn an_envoy_that_is_killed_frees_its_locks() {
    let edge = Edge::held(Way::ExtProc, json!({ "onClientGone": "free" })).await;
    let Some(envoy) = edge.envoy().await else { return };
    let asked = tokio::spawn(envoy.get("/reports/a").send());
    edge.upstream.wait_for(1).await;
    assert_eq!(edge.keys(), ["lock||edge||edge.example/reports/a"]);
    envoy.kill();
    assert!(asked.await.unwrap().is_err());
    edge.is_free().await;
    edge.upstream.allow(1);
}

#[tokio::test]
async fn a_client_that_leaves_while_holdfast_ends_frees_the_lock_all_the_same() {
    let mut edge = Edge::held_with(
        Way::ExtProc,
        json!({ "onClientGone": "free" }),
        &["--dapr-graceful-shutdown-seconds", "60"],
    )
    .await;
    let Some(envoy) = edge.envoy().await else { return };
    let [leaving, staying] =
        ["/reports/a", "/reports/b"].map(|path| tokio::spawn(envoy.get(path).send()));
    edge.upstream.wait_for(2).await;
    edge.holdfast.signal(Signal::TERM);
    edge.holdfast.wait_for("shutting down");
    leaving.abort();
    assert!(leaving.await.unwrap_err().is_cancelled());
    let kept = ["lock||edge||edge.example/reports/b"];
    eventually("the lock is free", async || edge.keys() == kept).await;
    edge.upstream.allow(2);
    assert_eq!(staying.await.unwrap().unwrap().status(), 200, "{}", envoy.log());
    assert_eq!(edge.holdfast.wait(), Some(0));
}

/// The lock is left to the upstream that still works, and expires.
#[tokio::test]
async fn a_request_that_outlasts_the_end_of_holdfast_is_answered() {
    let fields = json!({ "onClientGone": "free" });
    let edge =
        Edge::held_with(Way::ExtProc, fields, &["--dapr-graceful-shutdown-seconds", "1"]).await;
    let Some(envoy) = edge.envoy().await else { return };
    let asked = tokio::spawn(envoy.get("/reports/a").send());
    edge.upstream.wait_for(1).await;
    let Edge { redis, holdfast, upstream, .. } = edge;
    let (code, log) = holdfast.end().await;
    assert_eq!(code, 0, "{log}");
    assert!(redis.exists("lock||edge||edge.example/reports/a"), "{log}");
    upstream.allow(1);
    assert_eq!(asked.await.unwrap().unwrap().status(), 200, "{}", envoy.log());
}

#[tokio::test]
async fn a_holdfast_that_is_killed_fails_the_requests_under_way() {
    let mut edge = Edge::held(Way::ExtProc, json!({})).await;
    let Some(envoy) = edge.envoy().await else { return };
    let asked = tokio::spawn(envoy.get("/reports/a").send());
    edge.upstream.wait_for(1).await;
    edge.holdfast.end_by(Signal::KILL);
    assert_eq!(asked.await.unwrap().unwrap().status(), 503, "{}", envoy.log());
    assert_eq!(edge.keys(), ["lock||edge||edge.example/reports/a"]);
    edge.upstream.allow(1);
}

#[tokio::test]
async fn a_holdfast_that_ends_waits_for_the_requests_under_way() {
    let edge = Edge::held(Way::ExtProc, json!({ "onClientGone": "free" })).await;
    let Some(envoy) = edge.envoy().await else { return };
    let asked = tokio::spawn(envoy.get("/reports/a").send());
    edge.upstream.wait_for(1).await;
    let Edge { redis, holdfast, upstream, .. } = edge;
    let ended = tokio::spawn(holdfast.end());
    upstream.allow(1);
    assert_eq!(asked.await.unwrap().unwrap().status(), 200, "{}", envoy.log());
    let (code, log) = ended.await.unwrap();
    assert_eq!(code, 0, "{log}");
    assert_eq!(redis.run::<Vec<String>>(&["KEYS", "lock||edge||*"]), Vec::<String>::new(), "{log}");
}

//! Requests without Holdfast, or without Redis.

use holdfast_tests::{eventually, proxy::Proxy};
use rustix::process::Signal;
use serde_json::json;

use super::edge::{Edge, Way, every_way};

every_way! {
    without_redis_requests_are_refused,
    without_redis_requests_pass_where_they_may,
    without_holdfast_requests_are_refused,
    without_holdfast_requests_pass_where_they_may,
    with_a_holdfast_that_stands_still_requests_are_refused,
}

async fn without_redis_requests_are_refused(way: Way) {
    let mut edge = Edge::working_for(way, 0, json!({ "inDoubt": "closed" })).await;
    let Some(envoy) = edge.envoy().await else { return };
    assert_eq!(envoy.status("/reports/a").await, 200, "{}", envoy.log());
    edge.redis.kill();
    let refused = envoy.get("/reports/a").send().await.unwrap();
    assert_eq!(refused.status(), 503, "{}", edge.holdfast.log());
    assert_eq!(refused.headers()["retry-after"], "1");
    assert_eq!(edge.upstream.asked(), 1);
    edge.redis.restart();
    assert_eq!(envoy.status("/reports/a").await, 200, "{}", edge.holdfast.log());
}

async fn without_redis_requests_pass_where_they_may(way: Way) {
    let mut edge = Edge::working_for(way, 0, json!({ "inDoubt": "open" })).await;
    let Some(envoy) = edge.envoy().await else { return };
    edge.redis.kill();
    assert_eq!(envoy.status("/reports/a").await, 200, "{}", edge.holdfast.log());
    assert_eq!(edge.upstream.asked(), 1);
}

/// Lets requests pass without Holdfast. The proxy's configuration decides this, not Holdfast.
fn opened(edge: Edge, way: Way) -> Edge {
    match way {
        Way::ExtProc => edge.change("failure_mode_allow: false", "failure_mode_allow: true"),
        // The filter's `inDoubt` decides it.
        Way::Filter => edge,
    }
}

async fn without_holdfast_requests_are_refused(way: Way) {
    let mut edge = Edge::working_for(way, 0, json!({})).await;
    let Some(envoy) = edge.envoy().await else { return };
    edge.holdfast.end_by(Signal::KILL);
    assert_eq!(envoy.status("/reports/a").await, 503, "{}", envoy.log());
    assert_eq!(edge.upstream.asked(), 0);
}

async fn without_holdfast_requests_pass_where_they_may(way: Way) {
    let edge = Edge::working_for(way, 0, json!({ "inDoubt": "open" })).await;
    let mut edge = opened(edge, way);
    let Some(envoy) = edge.envoy().await else { return };
    edge.holdfast.end_by(Signal::KILL);
    assert_eq!(envoy.status("/reports/a").await, 200, "{}", envoy.log());
    assert_eq!(edge.upstream.asked(), 1);
}

async fn with_a_holdfast_that_stands_still_requests_are_refused(way: Way) {
    let mut edge = Edge::working_for(way, 0, json!({})).await;
    let Some(envoy) = edge.envoy().await else { return };
    assert_eq!(envoy.status("/reports/a").await, 200, "{}", envoy.log());
    edge.is_free().await;
    edge.holdfast.suspend();
    let refused = envoy.status("/reports/a").await;
    assert!((500..600).contains(&refused), "{refused}: {}", envoy.log());
    assert_eq!(edge.upstream.asked(), 1);
    edge.holdfast.signal(Signal::CONT);
    assert_eq!(envoy.status("/reports/a").await, 200, "{}", envoy.log());
    edge.is_free().await;
}

/// The external processor has no call of Envoy to try again: Holdfast frees the lock itself.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lock_whose_release_is_lost_is_freed_once_holdfast_answers() {
    let edge = Edge::held(Way::Filter, json!({ "ttl": "600s" })).await;
    let port = edge.holdfast.http().rsplit(':').next().unwrap().parse().unwrap();
    let network = Proxy::to(port).await;
    let address = network.address();
    let through = format!("port_value: {}", address.rsplit(':').next().unwrap());
    let edge = edge.change(&format!("port_value: {port}"), &through);
    let Some(envoy) = edge.envoy().await else { return };
    let asked = tokio::spawn(envoy.get("/reports/a").send());
    edge.upstream.wait_for(1).await;
    network.swallow();
    edge.upstream.allow(1);
    assert_eq!(asked.await.unwrap().unwrap().status(), 200, "{}", envoy.log());
    eventually("the release fails", async || envoy.log().contains("is not released yet")).await;
    assert_eq!(edge.keys().len(), 1);
    network.mend();
    network.cut();
    edge.is_free().await;
}

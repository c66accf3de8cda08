//! Requests that get the lock, and requests that wait.

use futures_util::future::join_all;
use holdfast_tests::{eventually, exposition::Exposition};
use serde_json::json;

use super::edge::{Edge, Way, every_way};

every_way! {
    one_request_at_a_time_reaches_the_upstream_and_all_are_answered,
    requests_with_other_keys_do_not_wait,
    a_request_that_does_not_wait_is_refused,
    a_request_waits_for_as_long_as_it_may,
    a_lock_of_another_program_counts,
    a_lock_is_held_to_the_end_of_the_response,
}

async fn one_request_at_a_time_reaches_the_upstream_and_all_are_answered(way: Way) {
    let edge = Edge::working_for(way, 10, json!({})).await;
    let (Some(one), Some(other)) = (edge.envoy().await, edge.envoy().await) else { return };
    let asked = (0..40).map(|request| {
        let envoy = if request % 2 == 0 { &one } else { &other };
        envoy.status("/reports/a")
    });
    assert_eq!(join_all(asked).await, [200; 40], "{}", one.log());
    assert_eq!((edge.upstream.asked(), edge.upstream.peak()), (40, 1));
    edge.is_free().await;
}

async fn requests_with_other_keys_do_not_wait(way: Way) {
    let edge = Edge::held(way, json!({})).await;
    let (Some(one), Some(other)) = (edge.envoy().await, edge.envoy().await) else { return };
    let asked = (0..40).map(|request| {
        let envoy = if request % 2 == 0 { &one } else { &other };
        tokio::spawn(envoy.get(&format!("/reports/{request}")).send())
    });
    let asked: Vec<_> = asked.collect();
    eventually("all reach the upstream", async || edge.upstream.working() == 40).await;
    assert_eq!(edge.keys().len(), 40);
    edge.upstream.allow(40);
    for answer in join_all(asked).await {
        assert_eq!(answer.unwrap().unwrap().status(), 200);
    }
    edge.is_free().await;
}

async fn a_request_that_does_not_wait_is_refused(way: Way) {
    let refused = json!({
        "status": 429, "retryAfter": "7s", "contentType": "application/json", "body": "{\"busy\":true}",
    });
    let edge = Edge::held(way, json!({ "wait": "0s", "refused": refused })).await;
    let (Some(one), Some(other)) = (edge.envoy().await, edge.envoy().await) else { return };
    let first = tokio::spawn(one.get("/reports/a").send());
    edge.upstream.wait_for(1).await;
    for envoy in [&one, &other] {
        let refused = envoy.get("/reports/a").send().await.unwrap();
        assert_eq!(refused.status(), 429, "{}", envoy.log());
        assert_eq!(refused.headers()["retry-after"], "7");
        assert_eq!(refused.headers()["content-type"], "application/json");
        assert_eq!(refused.text().await.unwrap(), "{\"busy\":true}");
    }
    edge.upstream.allow(1);
    assert_eq!(first.await.unwrap().unwrap().status(), 200);
    assert_eq!(edge.upstream.asked(), 1);
    edge.is_free().await;
}

async fn a_request_waits_for_as_long_as_it_may(way: Way) {
    let edge = Edge::held(way, json!({ "wait": "0.5s" })).await;
    let (Some(one), Some(other)) = (edge.envoy().await, edge.envoy().await) else { return };
    let first = tokio::spawn(one.get("/reports/a").send());
    edge.upstream.wait_for(1).await;
    let refused = other.get("/reports/a").send().await.unwrap();
    assert_eq!(refused.status(), 503, "{}", other.log());
    assert_eq!(refused.headers()["retry-after"], "1");
    assert_eq!(refused.text().await.unwrap(), "the lock is not free: try again later\n");
    edge.upstream.allow(1);
    assert_eq!(first.await.unwrap().unwrap().status(), 200);
    edge.is_free().await;
}

async fn a_lock_of_another_program_counts(way: Way) {
    let edge = Edge::working_for(way, 0, json!({ "resource": "fixed", "wait": "0s" })).await;
    let Some(envoy) = edge.envoy().await else { return };
    edge.redis.run::<()>(&["SET", "lock||edge||fixed", "somebody"]);
    assert_eq!(envoy.status("/reports/a").await, 503, "{}", envoy.log());
    edge.redis.run::<()>(&["DEL", "lock||edge||fixed"]);
    assert_eq!(envoy.status("/reports/a").await, 200, "{}", envoy.log());
}

async fn a_lock_is_held_to_the_end_of_the_response(way: Way) {
    let edge = Edge::held_after_the_head(way, json!({ "wait": "0s" })).await;
    let Some(envoy) = edge.envoy().await else { return };
    let first = envoy.get("/reports/a").send().await.unwrap();
    assert_eq!((first.status().as_u16(), edge.upstream.working()), (200, 1));
    assert_eq!(envoy.status("/reports/a").await, 503, "{}", envoy.log());
    edge.upstream.allow(1);
    first.bytes().await.unwrap();
    edge.is_free().await;
    assert_eq!(edge.upstream.asked(), 1);
}

/// In the filter each worker has its own crowd.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_beyond_those_that_may_wait_is_refused_at_once_and_counted() {
    let edge = Edge::held(Way::ExtProc, json!({ "maxWaiting": 1 })).await;
    let (Some(one), Some(other)) = (edge.envoy().await, edge.envoy().await) else { return };
    let first = tokio::spawn(one.get("/reports/a").send());
    edge.upstream.wait_for(1).await;
    let crowd = [&one, &other].map(|envoy| tokio::spawn(envoy.get("/reports/a").send()));
    let labels = [("edge_lock", "reports"), ("outcome", "crowded")];
    eventually("one of them is refused", async || {
        let page = Exposition::parse(&edge.holdfast.scrape().await);
        page.get("holdfast_edge_requests_total", &labels) == Some(1.0)
    })
    .await;
    edge.upstream.allow(2);
    assert_eq!(first.await.unwrap().unwrap().status(), 200, "{}", one.log());
    let crowd = join_all(crowd).await.into_iter();
    let mut statuses: Vec<_> = crowd.map(|answer| answer.unwrap().unwrap().status()).collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 503], "{}", other.log());
}

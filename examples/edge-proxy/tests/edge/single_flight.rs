//! The plugin of `examples/` in each of its languages, on two nodes that share a Redis.

use futures_util::future::join_all;
use holdfast_tests::{eventually, redis_server::RedisServer};

use crate::node::{Node, Upstream, prepared};

/// How many requests a node gets at once.
const AT_ONCE: usize = 12;

/// The number of seconds for which an answer is fresh.
fn max_age(path: &str, number: usize) -> u64 {
    let brief = ["/quote/short", "/quote/old"].contains(&path) && number == 1;
    if brief { 1 } else { 3600 }
}

/// Two nodes with the plugin, the Redis that they share, and their upstream.
struct Edge {
    redis: RedisServer,
    upstream: Upstream,
    one: Node,
    two: Node,
}

impl Edge {
    async fn start(language: &str) -> Option<Self> {
        let plugin = prepared(language)?;
        let plugin =
            format!("quote={},app-id=edge,stores=lockstore,deadline=60000", plugin.display());
        let redis = RedisServer::start();
        let upstream = Upstream::start(max_age).await;
        let one = Node::start(&redis, &upstream, std::slice::from_ref(&plugin));
        let two = Node::start(&redis, &upstream, &[plugin]);
        Some(Self { redis, upstream, one, two })
    }

    /// The node of each request, in turn.
    fn nodes(&self) -> impl Iterator<Item = &Node> {
        (0..AT_ONCE).flat_map(|_| [&self.one, &self.two])
    }

    fn lock(&self, path: &str) -> Option<String> {
        self.redis.run(&["GET", &format!("lock||edge||{path}")])
    }
}

/// With an empty cache, all requests get the answer of a single request to the upstream.
async fn assert_one_request_for_all(edge: &Edge) {
    let path = "/quote/cold";
    let all = join_all(edge.nodes().map(|node| node.get(path))).await;
    for got in &all {
        assert_eq!((got.status, got.body.as_str()), (200, "answer 1"), "{all:?}");
    }
    assert_eq!(edge.upstream.count(path), 1);
    assert_eq!(edge.lock(path), None, "the lock is released");
}

/// Each time the answer is stale, there is a single request to the upstream. The first answer is fresh for a
/// second, the second one for an hour.
async fn assert_one_request_a_period(edge: &Edge) {
    let path = "/quote/short";
    assert_eq!(edge.one.get(path).await.body, "answer 1");
    let until_new = async |node: &Node| {
        eventually("the second answer", async || {
            let got = node.get(path).await;
            assert_eq!(got.status, 200, "{got:?}");
            assert!(["answer 1", "answer 2"].contains(&got.body.as_str()), "{got:?}");
            got.body == "answer 2"
        })
        .await;
    };
    join_all(edge.nodes().map(until_new)).await;
    assert_eq!(edge.upstream.count(path), 2);
}

/// While a node waits for the upstream, the other one refuses requests.
async fn assert_refused_while_waiting(edge: &Edge) {
    let path = "/quote/slow";
    edge.upstream.hold(true);
    edge.one.send(path);
    eventually("the upstream is asked", async || edge.upstream.count(path) == 1).await;
    let got = edge.two.get(path).await;
    assert_eq!((got.status, got.retry_after.as_str()), (503, "1"), "{got:?}");
    edge.upstream.hold(false);
    eventually("the answer is there", async || edge.two.get(path).await.body == "answer 1").await;
    assert_eq!(edge.upstream.count(path), 1);
}

/// When a node is killed while it refreshes, its lock expires and the other node refreshes.
async fn assert_taken_over(edge: Edge) {
    let path = "/quote/old";
    let Edge { redis, upstream, one, two } = edge;
    assert_eq!(one.get(path).await.body, "answer 1");
    eventually("the answer is stale", async || {
        upstream.hold(true);
        one.send(path);
        upstream.count(path) == 2
    })
    .await;
    let key = format!("lock||edge||{path}");
    let owner: Option<String> = redis.run(&["GET", &key]);
    assert!(owner.is_some(), "the node holds the lock");
    drop(one);
    upstream.hold(false);

    let got = two.get(path).await;
    assert_eq!((got.status, got.body.as_str(), got.cache.as_str()), (200, "answer 1", "stale"));
    assert_eq!(upstream.count(path), 2);
    assert_eq!(redis.run::<Option<String>>(&["GET", &key]), owner, "nobody released it");
    eventually("the other refreshes", async || two.get(path).await.body == "answer 3").await;
    assert_eq!(upstream.count(path), 3);
}

async fn assert_single_flight(language: &str) {
    if let Some(edge) = Edge::start(language).await {
        assert_one_request_for_all(&edge).await;
        assert_one_request_a_period(&edge).await;
        assert_refused_while_waiting(&edge).await;
        assert_taken_over(edge).await;
    }
}

#[tokio::test]
async fn the_javascript_plugin_makes_one_request_for_all() {
    assert_single_flight("javascript").await;
}

#[tokio::test]
async fn the_python_plugin_makes_one_request_for_all() {
    assert_single_flight("python").await;
}

#[tokio::test]
async fn the_rust_plugin_makes_one_request_for_all() {
    assert_single_flight("rust").await;
}

/// Nobody has to wait until the lock expires.
#[tokio::test]
async fn a_lease_ends_with_the_call_that_took_it() {
    let Some(plugin) = prepared("rust") else { return };
    let plugin = format!("quote={},app-id=edge,stores=lockstore,deadline=1000", plugin.display());
    let redis = RedisServer::start();
    let upstream = Upstream::start(max_age).await;
    let node = Node::start(&redis, &upstream, &[plugin]);
    let path = "/quote/stuck";
    upstream.hold(true);
    let got = node.get(path).await;
    assert_eq!((got.status, got.body.as_str()), (504, "the plugin took too long\n"));
    assert_eq!(upstream.count(path), 1, "it held the lock");
    eventually("the lock is free", async || !redis.exists(&format!("lock||edge||{path}"))).await;
    let statistics: String = redis.run(&["INFO", "stats"]);
    assert!(statistics.contains("expired_keys:0\r"), "the lock was released: {statistics}");
}

//! The plugin of `examples/traefik/`, interpreted as Traefik does it, with a real Holdfast and a real Redis.

use std::{
    convert::Infallible,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use futures_util::{StreamExt, future::join_all, stream};
use holdfast_tests::{
    eventually, holdfast::Holdfast, proxy::Proxy, read, redis_server::RedisServer,
    resources::Resources, traefik::Traefik,
};
use http_body_util::{BodyExt, Full, StreamBody, combinators::BoxBody};
use hyper::{
    HeaderMap, Request, Response,
    body::{Frame, Incoming},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::{io::AsyncReadExt, net::TcpListener, sync::Semaphore, task::JoinHandle};

use crate::HOLDFAST;

/// Where nobody listens.
const NOWHERE: &str = "127.0.0.1:1";

/// How long the long body is. It goes past every buffer on its way.
const LONG: usize = 1024 * 1024;

/// The counts of an upstream.
#[derive(Default)]
struct Counts {
    asked: AtomicUsize,
    now: AtomicUsize,
    peak: AtomicUsize,
    headers: Mutex<Vec<HeaderMap>>,
}

/// A request that the upstream works on.
struct Work(Arc<Counts>);

impl Work {
    fn begin(counts: &Arc<Counts>, request: &Request<Incoming>) -> Self {
        counts.headers.lock().unwrap().push(request.headers().clone());
        counts.asked.fetch_add(1, Ordering::SeqCst);
        let now = counts.now.fetch_add(1, Ordering::SeqCst) + 1;
        counts.peak.fetch_max(now, Ordering::SeqCst);
        Self(Arc::clone(counts))
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        self.0.now.fetch_sub(1, Ordering::SeqCst);
    }
}

/// An upstream that answers the requests that a test allows. It ends with the test's runtime.
struct Upstream {
    address: String,
    counts: Arc<Counts>,
    answers: Arc<Semaphore>,
}

impl Upstream {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (counts, answers) = (Arc::<Counts>::default(), Arc::new(Semaphore::new(0)));
        let (counted, gate) = (Arc::clone(&counts), Arc::clone(&answers));
        tokio::spawn(async move {
            while let Ok((connection, _)) = listener.accept().await {
                let (counts, gate) = (Arc::clone(&counted), Arc::clone(&gate));
                let service = service_fn(move |request| {
                    let (counts, gate) = (Arc::clone(&counts), Arc::clone(&gate));
                    async move {
                        let work = Work::begin(&counts, &request);
                        gate.acquire().await.unwrap().forget();
                        // Two at a time would meet here.
                        tokio::time::sleep(Duration::from_millis(5)).await;
                        drop(work);
                        Ok::<_, Infallible>(answer(&request))
                    }
                });
                tokio::spawn(
                    http1::Builder::new().serve_connection(TokioIo::new(connection), service),
                );
            }
        });
        Self { address, counts, answers }
    }

    fn asked(&self) -> usize {
        self.counts.asked.load(Ordering::SeqCst)
    }

    async fn wait_for(&self, requests: usize) {
        eventually("the upstream is asked", async || self.asked() == requests).await;
    }

    fn answer(&self, requests: usize) {
        self.answers.add_permits(requests);
    }

    /// The values of a header in the last request.
    fn last(&self, name: &str) -> Vec<String> {
        let headers = self.counts.headers.lock().unwrap();
        let values = headers.last().unwrap().get_all(name).into_iter();
        values.map(|value| value.to_str().unwrap().to_owned()).collect()
    }
}

/// A long body for `/long`, the first half of it for `/half`, which does not end, and else the path.
fn answer(request: &Request<Incoming>) -> Response<BoxBody<Bytes, Infallible>> {
    let response = Response::builder().header("x-report", "fresh");
    match request.uri().path() {
        "/long" => response.body(Full::from(vec![b'x'; LONG]).boxed()),
        "/half" => {
            let half = Frame::data(Bytes::from(vec![b'x'; LONG / 2]));
            let body = stream::iter([Ok(half)]).chain(stream::pending());
            response.header("content-length", LONG).body(BodyExt::boxed(StreamBody::new(body)))
        }
        path => response.body(Full::from(path.to_owned()).boxed()),
    }
    .unwrap()
}

/// A Holdfast over a Redis.
struct Locks {
    redis: RedisServer,
    holdfast: Holdfast,
    _resources: Resources,
}

impl Locks {
    fn start(token: &str) -> Self {
        let redis = RedisServer::start();
        let resources = Resources::in_redis(&redis, &[]);
        let arguments = ["--app-id", "app1", "--resources-path", resources.path()];
        let holdfast = Holdfast::serve_in(&[("DAPR_API_TOKEN", token)], HOLDFAST, &arguments);
        Self { redis, holdfast, _resources: resources }
    }

    /// Settings with changes.
    fn settings(&self, changes: &Value) -> Value {
        settings(&self.holdfast.http(), changes)
    }

    fn holds(&self, resource: &str) -> bool {
        self.redis.exists(&format!("lock||app1||{resource}"))
    }

    async fn wait_until_free(&self) {
        let free = async || self.redis.run::<Vec<String>>(&["KEYS", "lock||app1||*"]).is_empty();
        eventually("every lock is free", free).await;
    }
}

/// Settings with changes, for a Holdfast at this `host:port`.
fn settings(holdfast: &str, changes: &Value) -> Value {
    let mut settings = json!({
        "address": format!("http://{holdfast}"),
        "store": "lockstore",
        "resource": "{:path-only}",
        "ttl": "600s",
    });
    for (name, value) in changes.as_object().unwrap() {
        settings[name] = value.clone();
    }
    settings
}

/// Sends a GET request on a connection of its own.
fn get(address: &str, path: &str) -> JoinHandle<reqwest::Response> {
    let request = reqwest::Client::new().get(format!("http://{address}{path}"));
    tokio::spawn(async move { request.send().await.unwrap() })
}

async fn status(address: &str, path: &str) -> u16 {
    get(address, path).await.unwrap().status().as_u16()
}

/// Closes the connection of a request.
async fn leave(client: JoinHandle<reqwest::Response>) {
    client.abort();
    assert!(client.await.unwrap_err().is_cancelled());
}

async fn wait_until_done(traefik: &Traefik, requests: usize) {
    eventually("requests are done", async || traefik.done() == requests).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_request_at_a_time_of_two_nodes_asks_the_upstream() {
    let (Some(mut one), Some(mut other)) = (Traefik::start(), Traefik::start()) else { return };
    let (locks, upstream) = (Locks::start("secret"), Upstream::start().await);
    let settings = locks.settings(&json!({"token": "secret", "wait": "60s"}));
    let nodes = [&mut one, &mut other].map(|node| node.serve(&upstream.address, &settings));
    upstream.answer(40);
    let requests = (0..40).map(|number| get(&nodes[number % 2], "/a?b=c"));
    for response in join_all(requests).await {
        let response = response.unwrap();
        assert_eq!(response.status(), 200, "{}{}", one.log(), other.log());
        assert_eq!(response.headers()["x-report"], "fresh");
        assert_eq!(response.text().await.unwrap(), "/a");
    }
    assert_eq!(upstream.asked(), 40);
    assert_eq!(upstream.counts.peak.load(Ordering::SeqCst), 1);
    locks.wait_until_free().await;
    assert!(!one.log().contains("holdfast:"), "{}", one.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn other_resources_do_not_wait_for_each_other() {
    let Some(mut traefik) = Traefik::start() else { return };
    let (locks, upstream) = (Locks::start(""), Upstream::start().await);
    let node = traefik.serve(&upstream.address, &locks.settings(&json!({"wait": "60s"})));
    let requests: Vec<_> = (0..40).map(|number| get(&node, &format!("/{number}"))).collect();
    upstream.wait_for(40).await;
    assert_eq!(upstream.counts.now.load(Ordering::SeqCst), 40);
    upstream.answer(40);
    for response in join_all(requests).await {
        assert_eq!(response.unwrap().status(), 200);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_without_the_lock_is_refused() {
    let Some(mut traefik) = Traefik::start() else { return };
    let (locks, upstream) = (Locks::start(""), Upstream::start().await);
    let conditions = json!({"match": {"methods": ["get"], "pathPrefix": "/a", "headers": {}}});
    let plain = traefik.serve(&upstream.address, &locks.settings(&conditions));
    let refused =
        json!({"status": 429, "retryAfter": "0s", "contentType": "application/json", "body": "{}"});
    let own = traefik.serve(&upstream.address, &locks.settings(&json!({"refused": refused})));
    let first = get(&plain, "/a");
    upstream.wait_for(1).await;

    let response = get(&plain, "/a?page=2").await.unwrap();
    assert_eq!(response.status(), 503);
    assert_eq!(response.headers()["retry-after"], "1");
    assert_eq!(response.headers()["content-type"], "text/plain");
    assert_eq!(response.text().await.unwrap(), "the lock is not free: try again later\n");

    let response = get(&own, "/a").await.unwrap();
    assert_eq!(response.status(), 429);
    assert_eq!(response.headers().get("retry-after"), None);
    assert_eq!(response.headers()["content-type"], "application/json");
    assert_eq!(response.text().await.unwrap(), "{}");

    // A request that does not meet every condition passes.
    upstream.answer(3);
    let post = reqwest::Client::new().post(format!("http://{plain}/a")).send();
    assert_eq!(post.await.unwrap().status(), 200);
    assert_eq!(status(&plain, "/b").await, 200);
    assert_eq!(first.await.unwrap().status(), 200);
    assert_eq!(upstream.asked(), 3);
    upstream.answer(1);
    assert_eq!(status(&own, "/a").await, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upstream_that_fails_does_not_keep_the_lock() {
    let Some(mut traefik) = Traefik::start() else { return };
    let locks = Locks::start("");
    let node = traefik.serve(NOWHERE, &locks.settings(&json!({})));
    for _ in 0..2 {
        assert_eq!(status(&node, "/a").await, 502);
        assert!(!locks.holds("/a"));
    }
}

/// An upstream that closes each connection once it was asked: its `host:port`.
async fn breaking() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        while let Ok((mut connection, _)) = listener.accept().await {
            let _ = connection.read(&mut [0; 4096]).await;
        }
    });
    address
}

/// The upstream may still work then, as when a client has left.
#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_that_waits_no_longer_for_the_upstream_keeps_or_frees_the_lock() {
    let Some(mut traefik) = Traefik::start() else { return };
    let (locks, upstream) = (Locks::start(""), Upstream::start().await);
    let mut status_before = async |upstream: &str, path: &str, changes: Value| {
        let settings = locks.settings(&changes);
        let wanted = json!({"upstream": upstream, "resource": settings, "patience": 300});
        let node = traefik.make(&wanted).unwrap();
        (status(&node, path).await, locks.holds(path))
    };
    for (path, changes, held) in [
        ("/kept", json!({"upstreamTimeout": "0.3s"}), true),
        ("/freed", json!({"upstreamTimeout": "0.3s", "onClientGone": "free"}), false),
        ("/unknown", json!({}), false),
    ] {
        assert_eq!(status_before(&upstream.address, path, changes).await, (504, held), "{path}");
    }
    assert_eq!(upstream.asked(), 3);
    // An upstream that fails has stopped its work.
    let (broken, changes) = (breaking().await, json!({"upstreamTimeout": "0.3s"}));
    assert_eq!(status_before(&broken, "/broken", changes).await, (502, false));
    upstream.answer(3);
}

/// A proxy that reports nothing does not count as an upstream that has not answered.
#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_that_reports_nothing_of_the_answer_frees_the_lock() {
    let Some(mut traefik) = Traefik::start() else { return };
    let (locks, upstream) = (Locks::start(""), Upstream::start().await);
    let settings = locks.settings(&json!({"upstreamTimeout": "0.001s"}));
    for fast in [true, false] {
        let wanted = json!({"upstream": upstream.address, "resource": settings, "fast": fast});
        let node = traefik.make(&wanted).unwrap();
        // The upstream works for longer than that.
        upstream.answer(1);
        assert_eq!(status(&node, "/a").await, 200);
        locks.wait_until_free().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lock_whose_release_is_lost_is_freed_once_holdfast_answers() {
    let Some(mut traefik) = Traefik::start() else { return };
    let (locks, upstream) = (Locks::start(""), Upstream::start().await);
    let port = locks.holdfast.http().rsplit_once(':').unwrap().1.parse().unwrap();
    let network = Proxy::to(port).await;
    let node = traefik.serve(&upstream.address, &settings(&network.address(), &json!({})));
    let first = get(&node, "/a");
    upstream.wait_for(1).await;
    network.swallow();
    upstream.answer(1);
    assert_eq!(first.await.unwrap().status(), 200);
    let fails = async || traefik.log().contains("/a is not released yet, retrying: ");
    eventually("the release fails", fails).await;
    assert!(locks.holds("/a"));
    network.mend();
    network.cut();
    locks.wait_until_free().await;
}

/// Otherwise a crowd for one lock would take the room of all others.
#[tokio::test(flavor = "multi_thread")]
async fn the_number_of_waiters_for_one_lock_is_bounded() {
    let Some(mut traefik) = Traefik::start() else { return };
    let (locks, upstream) = (Locks::start(""), Upstream::start().await);
    let settings = locks.settings(&json!({"wait": "60s", "maxWaiting": 1, "inDoubt": "open"}));
    let node = traefik.serve(&upstream.address, &settings);
    let first = get(&node, "/a");
    upstream.wait_for(1).await;
    let crowd = [get(&node, "/a"), get(&node, "/a")];
    wait_until_done(&traefik, 1).await;
    upstream.answer(3);
    assert_eq!(status(&node, "/b").await, 200);
    assert_eq!(first.await.unwrap().status(), 200);
    let mut statuses = join_all(crowd).await.into_iter().map(|answer| answer.unwrap().status());
    let statuses = [statuses.next().unwrap(), statuses.next().unwrap()];
    assert!(statuses.iter().any(|status| *status == 200), "{statuses:?}");
    assert!(statuses.iter().any(|status| *status == 503), "{statuses:?}");
    assert_eq!(upstream.asked(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_leaves_before_the_answer_keeps_or_frees_the_lock() {
    let Some(mut traefik) = Traefik::start() else { return };
    let (locks, upstream) = (Locks::start(""), Upstream::start().await);
    let keeping = traefik.serve(&upstream.address, &locks.settings(&json!({})));
    let client = get(&keeping, "/kept");
    upstream.wait_for(1).await;
    leave(client).await;
    wait_until_done(&traefik, 1).await;
    assert!(locks.holds("/kept"));
    assert_eq!(status(&keeping, "/kept").await, 503);

    let freeing = locks.settings(&json!({"onClientGone": "free"}));
    let freeing = traefik.serve(&upstream.address, &freeing);
    let client = get(&freeing, "/freed");
    upstream.wait_for(2).await;
    leave(client).await;
    wait_until_done(&traefik, 3).await;
    assert!(!locks.holds("/freed"));
    upstream.answer(1);
    assert_eq!(status(&freeing, "/freed").await, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_leaves_amid_the_answer_keeps_the_lock_and_one_after_it_does_not() {
    let Some(mut traefik) = Traefik::start() else { return };
    let (locks, upstream) = (Locks::start(""), Upstream::start().await);
    let node = traefik.serve(&upstream.address, &locks.settings(&json!({})));
    upstream.answer(2);
    let mut half = get(&node, "/half").await.unwrap();
    assert!(half.chunk().await.unwrap().is_some());
    drop(half);
    wait_until_done(&traefik, 1).await;
    assert!(locks.holds("/half"));
    assert!(!traefik.log().contains("panic"), "{}", traefik.log());

    let client = reqwest::Client::new();
    let long = client.get(format!("http://{node}/long")).header("linger", "yes").send();
    assert_eq!(long.await.unwrap().bytes().await.unwrap().len(), LONG);
    assert!(locks.holds("/long"));
    // This closes its connection.
    drop(client);
    wait_until_done(&traefik, 2).await;
    assert!(!locks.holds("/long"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_leaves_while_it_waits_does_not_get_the_lock() {
    let Some(mut traefik) = Traefik::start() else { return };
    let (locks, upstream) = (Locks::start(""), Upstream::start().await);
    let node = traefik.serve(&upstream.address, &locks.settings(&json!({"wait": "600s"})));
    let first = get(&node, "/a");
    upstream.wait_for(1).await;
    let waiting = get(&node, "/a");
    eventually("the second request came", async || traefik.came() == 2).await;
    leave(waiting).await;
    wait_until_done(&traefik, 1).await;
    upstream.answer(1);
    assert_eq!(first.await.unwrap().status(), 200);
    locks.wait_until_free().await;
    assert_eq!(upstream.asked(), 1);
    // A client that leaves is no failure.
    assert!(!traefik.log().contains("holdfast:"), "{}", traefik.log());
}

/// Aborts 300 requests for 30 resources, most of which wait.
async fn abort_300(changes: &Value) {
    let Some(mut traefik) = Traefik::start() else { return };
    let (locks, upstream) = (Locks::start(""), Upstream::start().await);
    let node = traefik.serve(&upstream.address, &locks.settings(changes));
    let requests: Vec<_> =
        (0..300).map(|number| get(&node, &format!("/{}", number % 30))).collect();
    eventually("most requests came", async || traefik.came() > 200 && upstream.asked() >= 30).await;
    for request in requests {
        leave(request).await;
    }
    eventually("all requests are done", async || traefik.done() == traefik.came()).await;
    locks.wait_until_free().await;
    let ended = async || upstream.counts.now.load(Ordering::SeqCst) == 0;
    eventually("the upstream has ended", ended).await;
    upstream.answer(30);
    for number in 0..30 {
        assert_eq!(status(&node, &format!("/{number}")).await, 200);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn aborted_requests_leave_no_lock_if_it_is_freed() {
    abort_300(&json!({"wait": "600s", "onClientGone": "free"})).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn aborted_requests_leave_no_lock_once_it_expired() {
    abort_300(&json!({"wait": "600s", "ttl": "10s"})).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_holdfast_requests_are_refused_or_pass() {
    let Some(mut traefik) = Traefik::start() else { return };
    let upstream = Upstream::start().await;
    let closed = traefik.serve(&upstream.address, &settings(NOWHERE, &json!({})));
    let refused = get(&closed, "/a").await.unwrap();
    assert_eq!(refused.status(), 503);
    assert_eq!(refused.headers()["retry-after"], "1");
    assert_eq!(upstream.asked(), 0);
    let log = traefik.log();
    assert!(log.contains("holdfast: one-at-a-time@file: acquire of /a: "), "{log}");
    assert!(log.contains("connection refused"), "{log}");

    upstream.answer(1);
    let open = settings(NOWHERE, &json!({"inDoubt": "open"}));
    let open = traefik.serve(&upstream.address, &open);
    assert_eq!(status(&open, "/a").await, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lock_whose_grant_is_lost_is_released() {
    let Some(mut traefik) = Traefik::start() else { return };
    let (locks, upstream) = (Locks::start(""), Upstream::start().await);
    let port = locks.holdfast.http().rsplit_once(':').unwrap().1.parse().unwrap();
    let network = Proxy::to(port).await;
    network.delay_replies(Duration::from_secs(600));
    let settings = settings(&network.address(), &json!({"timeout": "3s"}));
    let node = traefik.serve(&upstream.address, &settings);
    let request = get(&node, "/a");
    eventually("the lock is taken", async || locks.holds("/a")).await;
    assert_eq!(request.await.unwrap().status(), 503);
    locks.wait_until_free().await;
    assert_eq!(upstream.asked(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_token_is_not_mistaken_for_a_held_lock() {
    let Some(mut traefik) = Traefik::start() else { return };
    let (locks, upstream) = (Locks::start("secret"), Upstream::start().await);
    let open = locks.settings(&json!({"token": "wrong", "inDoubt": "open"}));
    let open = traefik.serve(&upstream.address, &open);
    upstream.answer(1);
    assert_eq!(status(&open, "/a").await, 200);
    let log = traefik.log();
    assert!(log.contains("acquire of /a: status 401 invalid api token"), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_upstream_gets_the_fencing_token_and_none_of_the_client() {
    let Some(mut traefik) = Traefik::start() else { return };
    let (locks, upstream) = (Locks::start(""), Upstream::start().await);
    let fenced = traefik.serve(&upstream.address, &locks.settings(&json!({"fenced": true})));
    let plain = locks.settings(&json!({"match": {"pathPrefix": "/locked"}}));
    let plain = traefik.serve(&upstream.address, &plain);
    upstream.answer(4);
    let send = async |address: &str, path: &str, connection: &str| {
        let request = reqwest::Client::new().get(format!("http://{address}{path}"));
        let request = request.header("holdfast-fencing-token", "9999999999999999");
        let response = request.header("x-own", "1").header("connection", connection).send().await;
        assert_eq!(response.unwrap().status(), 200);
        (upstream.last("holdfast-fencing-token"), upstream.last("x-own").len())
    };
    let mut tokens = Vec::new();
    // A proxy does not forward the headers that this header names.
    for (connection, own) in [("x-own, Holdfast-Fencing-Token", 0), ("keep-alive", 1)] {
        let (token, forwarded) = send(&fenced, "/a", connection).await;
        assert_eq!((token.len(), forwarded), (1, own));
        tokens.push(token[0].parse::<u64>().unwrap());
    }
    assert!(1_000_000_000_000_000 < tokens[0] && tokens[0] < tokens[1], "{tokens:?}");
    assert!(tokens[1] < 9_999_999_999_999_999, "{tokens:?}");
    for path in ["/locked", "/other"] {
        assert_eq!(send(&plain, path, "keep-alive").await, (Vec::new(), 1));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_resource_has_parts_of_the_request() {
    let Some(mut traefik) = Traefik::start() else { return };
    let (locks, upstream) = (Locks::start(""), Upstream::start().await);
    let template = "{{{:method}}} {:scheme} {:authority}{:path} {:path-only} {X-Tenant}|{x-none}|";
    let settings = locks.settings(&json!({"resource": template, "onClientGone": "free"}));
    let node = traefik.serve(&upstream.address, &settings);
    let request = reqwest::Client::new().get(format!("http://{node}/a%20b?c=d"));
    let request = request.header("host", "Shop.example").header("x-tenant", "t|1");
    let client = tokio::spawn(request.header("x-tenant", "~").send());
    upstream.wait_for(1).await;
    let keys: Vec<String> = locks.redis.run(&["KEYS", "lock||app1||*"]);
    assert_eq!(
        keys,
        ["lock||app1||{GET} http shop.example/a%20b?c=d /a%20b t%7C1,~|%7C"],
        "{}",
        traefik.log()
    );
    client.abort();
}

/// Otherwise a client could choose to go without a lock.
#[tokio::test(flavor = "multi_thread")]
async fn a_request_without_a_resource_is_refused_in_any_case() {
    let Some(mut traefik) = Traefik::start() else { return };
    let (locks, upstream) = (Locks::start(""), Upstream::start().await);
    let settings = locks.settings(&json!({"resource": "{x-tenant}", "inDoubt": "open"}));
    let node = traefik.serve(&upstream.address, &settings);
    for tenant in [String::new(), "x".repeat(3_001)] {
        let request = reqwest::Client::new().get(format!("http://{node}/a"));
        let refused = request.header("x-tenant", tenant).send().await.unwrap();
        assert_eq!(refused.status(), 503, "{}", traefik.log());
    }
}

#[test]
fn settings_that_are_wrong_are_named() {
    let Some(mut traefik) = Traefik::start() else { return };
    let fields = "address, token, timeout, upstreamTimeout, match, store, resource, ttl, wait, maxWaiting, fenced, inDoubt, onClientGone, refused";
    let unknown = format!("Store2: unknown field; the fields here are {fields}");
    let of_match =
        "match.path: unknown field; the fields here are methods, authorities, pathPrefix, headers";
    let form = "must be seconds, such as 30s or 0.25s";
    let url = "must be a URL such as http://127.0.0.1:3500";
    let names =
        "use {:method}, {:scheme}, {:authority}, {:path}, {:path-only} and {a header's name}";
    for (field, value, flaw) in [
        ("address", json!(null), "is missing".to_owned()),
        ("address", json!(1), "must be text".to_owned()),
        ("address", json!("127.0.0.1:3500"), url.to_owned()),
        ("address", json!("ftp://127.0.0.1"), url.to_owned()),
        ("address", json!("http://a/?b"), url.to_owned()),
        ("token", json!("a\nb"), "must be printable ASCII".to_owned()),
        ("timeout", json!("0s"), "must be longer than 0s".to_owned()),
        ("store", json!(null), "is missing".to_owned()),
        ("store", json!(""), "is missing".to_owned()),
        ("store", json!(1), "must be text".to_owned()),
        ("resource", json!(null), "is missing".to_owned()),
        ("resource", json!("{:path"), "has a single brace: write {{ or }} for a brace".to_owned()),
        ("resource", json!("{:port}"), format!("has {{:port}}, which is unknown: {names}")),
        (
            "resource",
            json!("{:authority}{path}"),
            "has {path} without a colon: did you mean {:path}?".to_owned(),
        ),
        (
            "resource",
            json!("{Path-Only}"),
            "has {Path-Only} without a colon: did you mean {:path-only}?".to_owned(),
        ),
        ("resource", json!("{}"), "has {}, which is not the name of a header".to_owned()),
        (
            "resource",
            json!("a||b"),
            "may not contain ||, which separates the parts of a key".to_owned(),
        ),
        ("resource", json!("x".repeat(3_001)), "must be at most 3000 bytes long".to_owned()),
        ("ttl", json!(null), "is missing".to_owned()),
        ("ttl", json!("0.0s"), "must be longer than 0s".to_owned()),
        ("ttl", json!(60), form.to_owned()),
        ("ttl", json!("1m"), form.to_owned()),
        ("ttl", json!("1.s"), form.to_owned()),
        ("ttl", json!("2147483647.001s"), "must be at most 2147483647s".to_owned()),
        ("wait", json!("-1s"), form.to_owned()),
        ("upstreamTimeout", json!(30), form.to_owned()),
        ("maxWaiting", json!(0), "must be at least 1".to_owned()),
        ("maxWaiting", json!(-1), "must be a whole number".to_owned()),
        ("fenced", json!("yes"), "must be true or false".to_owned()),
        ("inDoubt", json!("Open"), "must be closed or open".to_owned()),
        ("onClientGone", json!(false), "must be text".to_owned()),
        ("onClientGone", json!("hold"), "must be keep or free".to_owned()),
    ] {
        assert_eq!(refusal(&mut traefik, field, value), format!("{field}: {flaw}"));
    }
    for (field, value, flaw) in [
        ("refused", json!({"status": 200}), "refused.status: must be from 400 to 599"),
        ("refused", json!({"status": 70_000}), "refused.status: must be from 400 to 599"),
        ("refused", json!({"status": 503.5}), "refused.status: must be a whole number"),
        ("refused", json!({"contentType": "a\nb"}), "refused.contentType: must be printable ASCII"),
        ("match", json!([]), "match: must be a mapping"),
        ("match", json!({"methods": 1}), "match.methods: must be a list"),
        ("match", json!({"methods": [1]}), "match.methods[0]: must be text"),
        ("match", json!({"authorities": [""]}), "match.authorities[0]: is missing"),
        ("match", json!({"pathPrefix": "a"}), "match.pathPrefix: must begin with /"),
        ("match", json!({"headers": {"a": 1}}), "match.headers.a: must be text"),
        ("match", json!({"path": "/"}), of_match),
        ("match", json!({"methods": ["G ET"]}), "match.methods[0]: is not a method"),
        ("match", json!({"authorities": ["http://a/"]}), "match.authorities[0]: is not a host"),
        (
            "match",
            json!({"headers": {"x tenant": "a"}}),
            "match.headers.x tenant: is not the name of a header",
        ),
        (
            "match",
            json!({"headers": {"X-A": "a", "x-a": "b"}}),
            "match.headers.x-a: is given twice",
        ),
        (
            "match",
            json!({"headers": {":authority": "a", "host": "b"}}),
            "match.headers.host: is given twice",
        ),
        ("match", json!({"headers": {"": "a"}}), "match.headers.\"\": is not the name of a header"),
        ("match", json!({"authorities": ["*"]}), "match.authorities[0]: is not a host"),
        (
            "match",
            json!({"pathPrefix": "/a b"}),
            "match.pathPrefix: must be as requests have it: printable ASCII, without spaces and #",
        ),
        ("Store", json!("s"), "store: is given twice"),
        ("Store2", json!("s"), &unknown),
    ] {
        assert_eq!(refusal(&mut traefik, field, value), flaw);
    }
}

/// Why the plugin refuses the settings with one change.
fn refusal(traefik: &mut Traefik, field: &str, value: Value) -> String {
    let settings = settings(NOWHERE, &json!({field: value}));
    let made = traefik.make(&json!({"upstream": NOWHERE, "resource": settings}));
    made.err().unwrap_or_else(|| panic!("{field} is taken: {settings}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_may_come_from_files_labels_and_the_manifest() {
    let Some(mut traefik) = Traefik::start() else { return };
    let upstream = Upstream::start().await;
    assert!(traefik.make(&json!({"testData": true})).is_ok());

    let example = read("examples/traefik/dynamic.yml").replace("127.0.0.1:3500", NOWHERE);
    let more = "wait: 2s\n          fenced: true\n          refused: {status: 429, body: ''}";
    let file = example.replace("wait: 2s", more);
    let file = traefik.make(&json!({"file": file, "upstream": upstream.address})).unwrap();
    assert_eq!(status(&file, "/a").await, 429);

    let label = "traefik.http.middlewares.a.plugin.holdfast";
    let mut labels = json!({
        format!("{label}.address"): format!("http://{NOWHERE}"),
        format!("{label}.store"): "lockstore",
        format!("{label}.resource"): "{:path}",
        format!("{label}.ttl"): "60s",
        format!("{label}.indoubt"): "closed",
        format!("{label}.match.methods"): "GET, HEAD",
        format!("{label}.match.headers.X-Tenant"): "a",
        format!("{label}.refused.status"): "429",
    });
    let made = traefik.make(&json!({"labels": labels, "upstream": upstream.address})).unwrap();
    let locked = reqwest::Client::new().get(format!("http://{made}/")).header("x-tenant", "a");
    assert_eq!(locked.send().await.unwrap().status(), 429);
    upstream.answer(1);
    assert_eq!(status(&made, "/").await, 200);
    labels[format!("{label}.fenced")] = json!("maybe");
    let refused = traefik.make(&json!({"labels": labels})).unwrap_err();
    assert_eq!(refused, "fenced: must be true or false");
}

//! The nginx of `examples/nginx/`, which lets all nodes together send one request at a time to the upstream.

use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use bytes::Bytes;
use holdfast_tests::{
    eventually,
    holdfast::Holdfast,
    nginx::{Nginx, Settings},
};
use http_body_util::Full;
use hyper::{Method, Request, Response, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::{net::TcpListener, sync::Semaphore};

use crate::HOLDFAST;

/// An upstream that counts requests and answers those that a test allows. It ends with the test's runtime.
struct Upstream {
    address: String,
    asked: Arc<AtomicUsize>,
    answers: Arc<Semaphore>,
}

impl Upstream {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (asked, answers) = (Arc::<AtomicUsize>::default(), Arc::new(Semaphore::new(0)));
        let (count, gate) = (Arc::clone(&asked), Arc::clone(&answers));
        tokio::spawn(async move {
            while let Ok((connection, _)) = listener.accept().await {
                let (count, gate) = (Arc::clone(&count), Arc::clone(&gate));
                let service = service_fn(move |request: Request<Incoming>| {
                    let (count, gate) = (Arc::clone(&count), Arc::clone(&gate));
                    async move {
                        count.fetch_add(1, Ordering::SeqCst);
                        gate.acquire().await.unwrap().forget();
                        Ok::<_, Infallible>(answer(&request))
                    }
                });
                tokio::spawn(
                    http1::Builder::new().serve_connection(TokioIo::new(connection), service),
                );
            }
        });
        Self { address, asked, answers }
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }

    async fn wait_for(&self, requests: usize) {
        eventually("the upstream is asked", async || self.asked() == requests).await;
    }

    fn answer(&self, requests: usize) {
        self.answers.add_permits(requests);
    }
}

/// Names the request in the body. If the path ends in a number, the body has that many bytes instead.
fn answer(request: &Request<Incoming>) -> Response<Full<Bytes>> {
    let mut body = format!("{} {}", request.method(), request.uri());
    if let Some(length) = body.rsplit('/').next().and_then(|word| word.parse().ok()) {
        body = "x".repeat(length);
    }
    let response = Response::builder().status(201).header("x-report", "fresh");
    let response = response.header("set-cookie", "one=1").header("set-cookie", "two=2");
    response.body(Full::from(body)).unwrap()
}

fn holdfast(token: &str) -> Holdfast {
    Holdfast::serve_in(&[("DAPR_API_TOKEN", token)], HOLDFAST, &["--app-id", "edge"])
}

/// An nginx, if `cargo xtask test` prepared one.
async fn nginx(holdfast: &str, upstream: &Upstream, token: &str, in_doubt: &str) -> Option<Nginx> {
    Nginx::start(&Settings { holdfast, upstream: &upstream.address, token, in_doubt }).await
}

async fn status(nginx: &Nginx, path: &str) -> u16 {
    nginx.get(path).send().await.unwrap().status().as_u16()
}

#[tokio::test]
async fn only_one_of_two_nodes_asks_the_upstream() {
    let (holdfast, upstream) = (holdfast("secret"), Upstream::start().await);
    let Some(one) = nginx(&holdfast.http(), &upstream, "secret", "closed").await else { return };
    let Some(other) = nginx(&holdfast.http(), &upstream, "secret", "closed").await else { return };

    let first = tokio::spawn(one.get("/reports/a%20b?c=d||e").send());
    upstream.wait_for(1).await;
    for nginx in [&one, &other] {
        let refused = nginx.get("/reports/a%20b?c=d||e").send().await.unwrap();
        assert_eq!(refused.status(), 503, "{}", nginx.log());
        assert_eq!(refused.headers()["retry-after"], "1");
        assert_eq!(refused.text().await.unwrap(), "another request holds the lock\n");
    }
    assert_eq!(upstream.asked(), 1);

    // Another path has a lock of its own.
    let elsewhere = tokio::spawn(other.get("/reports/b").send());
    upstream.wait_for(2).await;
    upstream.answer(2);
    assert_eq!(elsewhere.await.unwrap().unwrap().status(), 201);

    let reply = first.await.unwrap().unwrap();
    assert_eq!(reply.status(), 201);
    assert_eq!(reply.headers()["x-report"], "fresh");
    let cookies: Vec<_> = reply.headers().get_all("set-cookie").iter().collect();
    assert_eq!(cookies, ["one=1", "two=2"]);
    assert_eq!(reply.text().await.unwrap(), "GET /reports/a%20b?c=d||e");

    upstream.answer(1);
    let again = async || status(&other, "/reports/a%20b?c=d||e").await == 201;
    eventually("the lock is free", again).await;
    assert_eq!(upstream.asked(), 3);
}

#[tokio::test]
async fn a_client_that_leaves_does_not_keep_the_lock() {
    let (holdfast, upstream) = (holdfast(""), Upstream::start().await);
    let Some(nginx) = nginx(&holdfast.http(), &upstream, "", "closed").await else { return };
    let leaving = tokio::spawn(nginx.get("/reports/a").send());
    upstream.wait_for(1).await;
    leaving.abort();
    assert!(leaving.await.unwrap_err().is_cancelled());
    assert_eq!(status(&nginx, "/reports/a").await, 503);

    upstream.answer(2);
    eventually("the lock is free", async || status(&nginx, "/reports/a").await == 201).await;
}

#[tokio::test]
async fn an_upstream_that_fails_does_not_keep_the_lock() {
    let holdfast = holdfast("");
    let nobody = Upstream { address: "127.0.0.1:1".to_owned(), ..Upstream::start().await };
    let Some(nginx) = nginx(&holdfast.http(), &nobody, "", "closed").await else { return };
    assert_eq!(status(&nginx, "/reports/a").await, 502, "{}", nginx.log());
    eventually("the lock is free", async || status(&nginx, "/reports/a").await == 502).await;
}

#[tokio::test]
async fn an_answer_may_be_long() {
    let (holdfast, upstream) = (holdfast(""), Upstream::start().await);
    upstream.answer(1);
    let Some(nginx) = nginx(&holdfast.http(), &upstream, "", "closed").await else { return };
    let long = nginx.get("/reports/20000000").send().await.unwrap();
    assert_eq!(long.status(), 201);
    assert_eq!(long.bytes().await.unwrap().len(), 20_000_000);
    upstream.answer(1);
    eventually("the lock is free", async || status(&nginx, "/reports/20000000").await == 201).await;
}

#[tokio::test]
async fn without_holdfast_requests_are_refused_or_passed_as_configured() {
    let upstream = Upstream::start().await;
    upstream.answer(1);
    let down = "127.0.0.1:1";
    let Some(closed) = nginx(down, &upstream, "", "closed").await else { return };
    let refused = closed.get("/reports/a").send().await.unwrap();
    assert_eq!(refused.status(), 503);
    assert_eq!(refused.headers()["retry-after"], "1");
    assert_eq!(refused.text().await.unwrap(), "Holdfast did not say whether the lock was taken\n");
    assert_eq!(upstream.asked(), 0);
    assert!(closed.log().contains("holdfast: try-lock: status 502"), "{}", closed.log());

    let Some(open) = nginx(down, &upstream, "", "open").await else { return };
    assert_eq!(status(&open, "/reports/a").await, 201);
    assert_eq!(upstream.asked(), 1);
}

#[tokio::test]
async fn a_wrong_token_is_not_mistaken_for_a_held_lock() {
    let (holdfast, upstream) = (holdfast("secret"), Upstream::start().await);
    let Some(nginx) = nginx(&holdfast.http(), &upstream, "wrong", "closed").await else { return };
    let refused = nginx.get("/reports/a").send().await.unwrap();
    assert_eq!(refused.status(), 503);
    assert_eq!(refused.text().await.unwrap(), "Holdfast did not say whether the lock was taken\n");
    assert!(nginx.log().contains("try-lock: status 401 invalid api token"), "{}", nginx.log());
    assert_eq!(upstream.asked(), 0);
}

#[tokio::test]
async fn only_reads_pass_and_clients_cannot_call_holdfast() {
    let (holdfast, upstream) = (holdfast(""), Upstream::start().await);
    upstream.answer(1);
    let Some(nginx) = nginx(&holdfast.http(), &upstream, "", "closed").await else { return };
    let head = nginx.request(Method::HEAD, "/reports/a").send().await.unwrap();
    assert_eq!(head.status(), 201);
    assert_eq!(head.headers()["x-report"], "fresh");
    let post = nginx.request(Method::POST, "/reports/a").send().await.unwrap();
    assert_eq!(post.status(), 403);
    assert_eq!(status(&nginx, "/_holdfast/lock/lockstore").await, 404);
    assert_eq!(upstream.asked(), 1);
}

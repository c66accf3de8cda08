//! An upstream of a proxy, whose work goes on when its client leaves, as that of many servers does.

#![allow(clippy::unwrap_used, reason = "helpers of tests may panic as tests do")]

use std::{
    convert::Infallible,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use futures_util::stream;
use http_body_util::{BodyExt, Full, StreamBody, combinators::BoxBody};
use hyper::{
    HeaderMap, Request, Response,
    body::{Frame, Incoming},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use tokio::{net::TcpListener, sync::Semaphore};

use crate::eventually;

/// An upstream that counts the requests that it works on at a time, and echoes their bodies. It ends with the test's
/// runtime.
pub struct Upstream {
    /// Its port of 127.0.0.1.
    pub port: u16,
    work: Arc<Work>,
}

struct Work {
    asked: AtomicUsize,
    working: AtomicUsize,
    peak: AtomicUsize,
    left: AtomicUsize,
    /// How long each request takes; `None`: until a test allows it to end.
    takes: Option<Duration>,
    /// Whether the head of a response comes before the work is done.
    head_first: bool,
    allowed: Semaphore,
    last: Mutex<HeaderMap>,
}

impl Upstream {
    /// An upstream whose work takes this long.
    pub async fn working_for(takes: Duration) -> Self {
        Self::start(Some(takes), false).await
    }

    /// An upstream whose work ends when [`allow`](Self::allow) says so.
    pub async fn held() -> Self {
        Self::start(None, false).await
    }

    /// The same, which sends the head of a response when its work begins.
    pub async fn held_after_the_head() -> Self {
        Self::start(None, true).await
    }

    async fn start(takes: Option<Duration>, head_first: bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let work = Arc::new(Work {
            asked: AtomicUsize::new(0),
            working: AtomicUsize::new(0),
            peak: AtomicUsize::new(0),
            left: AtomicUsize::new(0),
            takes,
            head_first,
            allowed: Semaphore::new(0),
            last: Mutex::default(),
        });
        let shared = work.clone();
        tokio::spawn(async move {
            while let Ok((connection, _)) = listener.accept().await {
                let work = shared.clone();
                let service = service_fn(move |request| answer(work.clone(), request));
                let connection = TokioIo::new(connection);
                tokio::spawn(http1::Builder::new().serve_connection(connection, service));
            }
        });
        Self { port, work }
    }

    /// How many requests came.
    pub fn asked(&self) -> usize {
        self.work.asked.load(Ordering::SeqCst)
    }

    /// How many requests it works on.
    pub fn working(&self) -> usize {
        self.work.working.load(Ordering::SeqCst)
    }

    /// How many requests it worked on at a time at most.
    pub fn peak(&self) -> usize {
        self.work.peak.load(Ordering::SeqCst)
    }

    /// How many clients closed their connections before they were answered.
    pub fn left(&self) -> usize {
        self.work.left.load(Ordering::SeqCst)
    }

    /// The headers of the request that came last.
    pub fn headers(&self) -> HeaderMap {
        self.work.last.lock().unwrap().clone()
    }

    /// Waits until this many requests have come.
    ///
    /// # Panics
    ///
    /// When they do not come within a minute.
    pub async fn wait_for(&self, requests: usize) {
        let what = format!("{requests} requests reach the upstream");
        eventually(&what, async || self.asked() >= requests).await;
    }

    /// Allows the work on this many requests to end.
    pub fn allow(&self, requests: usize) {
        self.work.allowed.add_permits(requests);
    }
}

/// A request that is not answered yet. hyper drops it with the answer's future when the client leaves.
struct Unanswered(Option<Arc<Work>>);

impl Drop for Unanswered {
    fn drop(&mut self) {
        if let Some(work) = &self.0 {
            work.left.fetch_add(1, Ordering::SeqCst);
        }
    }
}

async fn answer(
    work: Arc<Work>,
    request: Request<Incoming>,
) -> Result<Response<BoxBody<Bytes, Infallible>>, Infallible> {
    work.last.lock().unwrap().clone_from(request.headers());
    let working = work.working.fetch_add(1, Ordering::SeqCst) + 1;
    work.peak.fetch_max(working, Ordering::SeqCst);
    work.asked.fetch_add(1, Ordering::SeqCst);
    let head_first = work.head_first;
    let mut unanswered = Unanswered(Some(work.clone()));
    // In a task of its own, the work goes on when the client leaves.
    let worked = tokio::spawn(async move {
        match work.takes {
            Some(takes) => tokio::time::sleep(takes).await,
            None => work.allowed.acquire().await.unwrap().forget(),
        }
        work.working.fetch_sub(1, Ordering::SeqCst);
    });
    let body = request.into_body().collect().await;
    let body = body.map(|body| body.to_bytes()).unwrap_or_default();
    if head_first {
        unanswered.0 = None;
        let later = stream::once(async move {
            worked.await.unwrap();
            Ok(Frame::data(body))
        });
        return Ok(Response::new(StreamBody::new(later).boxed()));
    }
    worked.await.unwrap();
    unanswered.0 = None;
    Ok(Response::new(Full::new(body).boxed()))
}

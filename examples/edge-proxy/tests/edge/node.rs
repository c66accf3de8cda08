//! A node of the edge, an upstream that counts its requests, and the plugins that `cargo xtask test` prepared.

use std::{
    collections::HashMap,
    convert::Infallible,
    io::{BufRead, BufReader},
    path::PathBuf,
    process::{Command, Stdio},
    sync::{Arc, Mutex, PoisonError, mpsc},
    thread,
    time::Duration,
};

use holdfast_tests::{process::Watched, redis_server::RedisServer};
use http_body_util::Full;
use hyper::{
    Request, Response,
    body::{Bytes, Incoming},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use tokio::{net::TcpListener, sync::watch};

/// How long a node may take to start: it compiles plugins that contain an interpreter.
const STARTING: Duration = Duration::from_secs(300);

/// A plugin of `examples/`, if `cargo xtask test` prepared it. Else says that the test is skipped.
pub fn prepared(language: &str) -> Option<PathBuf> {
    let variable = format!("HOLDFAST_PLUGIN_{}", language.to_uppercase());
    let folder = holdfast_tests::prepared(&variable, &format!("plugin in {language}"))?;
    Some(folder.join("plugin.wasm"))
}

/// A process `edge-proxy`, which is killed when this is dropped and when the test's process ends.
pub struct Node {
    address: String,
    client: reqwest::Client,
    _process: Watched,
}

/// A response.
#[derive(Debug, PartialEq)]
pub struct Got {
    pub status: u16,
    /// The plugin's report about its answer: `fresh`, `stale`, `refreshed` or `waited`.
    pub cache: String,
    pub retry_after: String,
    pub body: String,
}

impl Node {
    /// Starts a node, and waits until it listens.
    pub fn start(redis: &RedisServer, upstream: &Upstream, plugins: &[String]) -> Self {
        let redis = redis.address();
        let mut command = Command::new(env!("CARGO_BIN_EXE_edge-proxy"));
        command
            .args(["--listen", "127.0.0.1:0", "--upstream", &upstream.address, "--cache", &redis])
            .args(["--store", &format!("lockstore={redis}")])
            .args(["--store", &format!("spare={redis}")]);
        for plugin in plugins {
            command.args(["--plugin", plugin]);
        }
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        let mut process = Watched::start(command);
        let stdout = process.process_mut().stdout.take().unwrap();
        let (said, listening) = mpsc::channel();
        thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                let _ = said.send(line);
            }
        });
        let line = listening.recv_timeout(STARTING).expect("a node that starts");
        let address = line.strip_prefix("listening on ").expect("an address").to_owned();
        Self { address, client: reqwest::Client::new(), _process: process }
    }

    /// Sends a GET request.
    pub async fn get(&self, path: &str) -> Got {
        self.request(path).await.expect("a response")
    }

    /// Sends a GET request without waiting for the response.
    pub fn send(&self, path: &str) {
        tokio::spawn(self.request(path));
    }

    fn request(&self, path: &str) -> impl Future<Output = reqwest::Result<Got>> + use<> {
        let request = self.client.get(format!("{}{path}", self.address));
        async {
            let response = request.send().await?;
            let header = |name| {
                let value = response.headers().get(name).and_then(|value| value.to_str().ok());
                value.unwrap_or_default().to_owned()
            };
            let (cache, retry_after) = (header("x-cache"), header("retry-after"));
            let status = response.status().as_u16();
            Ok(Got { status, cache, retry_after, body: response.text().await? })
        }
    }
}

/// An upstream that numbers its answers for each path.
pub struct Upstream {
    pub address: String,
    counts: Arc<Mutex<HashMap<String, usize>>>,
    open: watch::Sender<bool>,
}

impl Upstream {
    /// Starts an upstream. `max_age` returns the number of seconds for which an answer is fresh, by its path and
    /// number.
    pub async fn start(max_age: fn(&str, usize) -> u64) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let counts = Arc::<Mutex<HashMap<String, usize>>>::default();
        let (open, opened) = watch::channel(true);
        let counted = Arc::clone(&counts);
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let (counted, opened) = (Arc::clone(&counted), opened.clone());
                tokio::spawn(async move {
                    let service = service_fn(move |request| {
                        answer(request, Arc::clone(&counted), opened.clone(), max_age)
                    });
                    let _ =
                        http1::Builder::new().serve_connection(TokioIo::new(socket), service).await;
                });
            }
        });
        Self { address, counts, open }
    }

    /// The number of requests for a path so far.
    pub fn count(&self, path: &str) -> usize {
        let counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        counts.get(path).copied().unwrap_or(0)
    }

    /// Holds back the answers to the requests from now on, or sends them all.
    pub fn hold(&self, hold: bool) {
        let _ = self.open.send(!hold);
    }
}

async fn answer(
    request: Request<Incoming>,
    counts: Arc<Mutex<HashMap<String, usize>>>,
    mut opened: watch::Receiver<bool>,
    max_age: fn(&str, usize) -> u64,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let path = request.uri().path().to_owned();
    let number = {
        let mut counts = counts.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(path.clone()).or_default();
        *count += 1;
        *count
    };
    let _ = opened.wait_for(|open| *open).await;
    let fresh = format!("public, max-age={}", max_age(&path, number));
    let response = Response::builder().header("cache-control", fresh);
    Ok(response
        .header("content-type", "text/plain")
        .body(format!("answer {number}").into())
        .unwrap())
}

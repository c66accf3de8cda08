//! The binary `holdfast`, serving on a free port, for one test.

use std::{
    io::{BufRead, BufReader, Read},
    path::Path,
    process::{Command, Stdio},
    sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc},
    thread,
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};

use crate::process::Watched;

const STARTING: Duration = Duration::from_secs(20);

/// A server that runs until it is dropped.
pub struct Holdfast {
    http: String,
    grpc: String,
    metrics: String,
    client: reqwest::Client,
    log: Arc<Mutex<String>>,
    process: Watched,
}

impl Holdfast {
    /// Starts `holdfast serve` with these arguments, and waits until it says that it listens.
    ///
    /// # Panics
    ///
    /// When it ends or takes too long, with its log.
    pub fn serve(binary: &Path, arguments: &[&str]) -> Self {
        Self::serve_in(&[], binary, arguments)
    }

    /// The same with an API token, where an empty one is none.
    ///
    /// # Panics
    ///
    /// Likewise.
    pub fn serve_with_token(binary: &Path, arguments: &[&str], token: &str) -> Self {
        Self::serve_in(&[("DAPR_API_TOKEN", token)], binary, arguments)
    }

    /// The same, in an environment with these variables.
    ///
    /// # Panics
    ///
    /// Likewise.
    pub fn serve_in(environment: &[(&str, &str)], binary: &Path, arguments: &[&str]) -> Self {
        let mut command = Command::new(binary);
        command
            .args(["serve", "--dapr-http-port", "0", "--dapr-grpc-port", "0"])
            .args(["--metrics-port", "0", "--metrics-listen-address", "127.0.0.1"])
            .args(arguments)
            .env_remove("DAPR_API_TOKEN")
            .envs(environment.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        let mut process = Watched::start(command);
        let stderr = process.process_mut().stderr.take().expect("a pipe");
        let (said, listening) = mpsc::channel();
        let log = Arc::<Mutex<String>>::default();
        let all = Arc::clone(&log);
        // Its end is the end of `said`, so that a process that ends early is not waited for.
        thread::spawn(move || follow(stderr, &all, &said));
        let Ok(()) = listening.recv_timeout(STARTING) else {
            panic!("holdfast does not start:\n{}", text(&log));
        };
        let address = |before| address(&text(&log), before);
        let http = address("listening on http://").expect("an address");
        let grpc = address("listening on grpc://").expect("an address");
        // They may have been turned off.
        let metrics = address("metrics on http://").unwrap_or_default();
        Self { http, grpc, metrics, client: reqwest::Client::new(), log, process }
    }

    /// Where the HTTP API is: host and port.
    pub fn http(&self) -> &str {
        &self.http
    }

    /// Where the gRPC API is: host and port.
    pub fn grpc(&self) -> &str {
        &self.grpc
    }

    /// Where the metrics are: host, port and path; empty where there are none.
    pub fn metrics(&self) -> &str {
        &self.metrics
    }

    /// What it has logged so far.
    pub fn log(&self) -> String {
        text(&self.log).clone()
    }

    /// Asks it to end, and waits until it has: its exit code and its log.
    ///
    /// # Panics
    ///
    /// When it cannot be asked, or ends by a signal.
    pub async fn end(mut self) -> (i32, String) {
        let ended = tokio::task::spawn_blocking(move || {
            let process = self.process.process_mut();
            kill_process(Pid::from_child(process), Signal::TERM).expect("a process to ask");
            let code = process.wait().expect("an end").code().expect("an exit code");
            (code, self.log())
        });
        ended.await.expect("an end")
    }

    /// The metrics, as Prometheus reads them.
    ///
    /// # Panics
    ///
    /// When there are none.
    pub async fn scrape(&self) -> String {
        let reply = self.client.get(format!("http://{}", self.metrics)).send().await;
        let reply = reply.expect("a reply");
        assert_eq!(reply.status(), 200);
        reply.text().await.expect("a body")
    }

    /// Sends a body; the status and the body of the reply.
    ///
    /// # Panics
    ///
    /// When there is no reply.
    pub async fn post(&self, path: &str, body: impl Into<String>) -> (u16, String) {
        let request = self.client.post(format!("http://{}{path}", self.http));
        let reply = request.body(body.into()).send().await.expect("a reply");
        let status = reply.status().as_u16();
        (status, reply.text().await.expect("a body"))
    }

    /// A try-lock; the body of the reply, whose status must be 200.
    ///
    /// # Panics
    ///
    /// When the reply is an error.
    pub async fn try_lock(&self, store: &str, resource: &str, owner: &str, expiry: i32) -> String {
        let body = format!(
            r#"{{"resourceId":"{resource}","lockOwner":"{owner}","expiryInSeconds":{expiry}}}"#
        );
        self.ok(&format!("/v1.0-alpha1/lock/{store}"), body).await
    }

    /// An unlock; the body of the reply, whose status must be 200.
    ///
    /// # Panics
    ///
    /// When the reply is an error.
    pub async fn unlock(&self, store: &str, resource: &str, owner: &str) -> String {
        let body = format!(r#"{{"resourceId":"{resource}","lockOwner":"{owner}"}}"#);
        self.ok(&format!("/v1.0-alpha1/unlock/{store}"), body).await
    }

    async fn ok(&self, path: &str, body: String) -> String {
        let (status, body) = self.post(path, body).await;
        assert_eq!(status, 200, "{body}");
        body
    }
}

/// Reads the log to its end, so that the process never waits for a reader. Says when it listens: the
/// HTTP API's address comes last.
fn follow(stderr: impl Read, log: &Mutex<String>, said: &mpsc::Sender<()>) {
    for line in BufReader::new(stderr).lines().map_while(Result::ok) {
        let mut all = text(log);
        all.push_str(&line);
        all.push('\n');
        drop(all);
        if line.contains("listening on http://") {
            let _ = said.send(());
        }
    }
}

/// The address that the log names after these words.
fn address(log: &str, before: &str) -> Option<String> {
    let (_, address) = log.split_once(before)?;
    address.split_whitespace().next().map(str::to_owned)
}

fn text(log: &Mutex<String>) -> MutexGuard<'_, String> {
    log.lock().unwrap_or_else(PoisonError::into_inner)
}

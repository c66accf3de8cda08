//! The binary `holdfast`, serving on a free port, for one test.

use std::{
    io::{BufRead, BufReader, Read},
    path::Path,
    process::{Command, Stdio},
    sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc},
    thread,
    time::Duration,
};

use crate::process::Watched;

const STARTING: Duration = Duration::from_secs(20);

/// A server that runs until it is dropped.
pub struct Holdfast {
    http: String,
    grpc: String,
    client: reqwest::Client,
    log: Arc<Mutex<String>>,
    _process: Watched,
}

impl Holdfast {
    /// Starts `holdfast serve` with these arguments, and waits until it says that it listens.
    ///
    /// # Panics
    ///
    /// When it ends or takes too long, with its log.
    pub fn serve(binary: &Path, arguments: &[&str]) -> Self {
        Self::serve_with_token(binary, arguments, "")
    }

    /// Starts `holdfast serve` with these arguments and an API token, where an empty one is none, and
    /// waits until it says that it listens.
    ///
    /// # Panics
    ///
    /// When it ends or takes too long, with its log.
    pub fn serve_with_token(binary: &Path, arguments: &[&str], token: &str) -> Self {
        let mut command = Command::new(binary);
        command
            .args(["serve", "--dapr-http-port", "0", "--dapr-grpc-port", "0"])
            .args(arguments)
            .env("DAPR_API_TOKEN", token)
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
        let address = |protocol| address(&text(&log), protocol).expect("an address");
        let (http, grpc) = (address("http"), address("grpc"));
        Self { http, grpc, client: reqwest::Client::new(), log, _process: process }
    }

    /// Where the HTTP API is: host and port.
    pub fn http(&self) -> &str {
        &self.http
    }

    /// Where the gRPC API is: host and port.
    pub fn grpc(&self) -> &str {
        &self.grpc
    }

    /// What it has logged so far.
    pub fn log(&self) -> String {
        text(&self.log).clone()
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

/// The address that the log names for an API.
fn address(log: &str, protocol: &str) -> Option<String> {
    let (_, address) = log.split_once(&format!("listening on {protocol}://"))?;
    address.split_whitespace().next().map(str::to_owned)
}

fn text(log: &Mutex<String>) -> MutexGuard<'_, String> {
    log.lock().unwrap_or_else(PoisonError::into_inner)
}

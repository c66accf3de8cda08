//! The binary `holdfast`, serving on a free port, for one test.

use std::{
    io::{BufRead, BufReader, Read},
    path::Path,
    process::{Command, Stdio},
    sync::mpsc,
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
    _process: Watched,
}

impl Holdfast {
    /// Starts `holdfast serve` with these arguments, and waits until it says that it listens.
    ///
    /// # Panics
    ///
    /// When it ends or takes too long, with its log.
    pub fn serve(binary: &Path, arguments: &[&str]) -> Self {
        let mut command = Command::new(binary);
        command
            .args(["serve", "--dapr-http-port", "0", "--dapr-grpc-port", "0"])
            .args(arguments)
            .env_remove("DAPR_API_TOKEN")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        let mut process = Watched::start(command);
        let log = process.process_mut().stderr.take().expect("a pipe");
        let (said, listening) = mpsc::channel();
        thread::spawn(move || follow(log, &said));
        let (http, grpc) = match listening.recv_timeout(STARTING) {
            Ok(Ok(addresses)) => addresses,
            Ok(Err(log)) => panic!("holdfast does not start:\n{log}"),
            Err(_) => panic!("holdfast does not start in time"),
        };
        Self { http, grpc, client: reqwest::Client::new(), _process: process }
    }

    /// Where the HTTP API is: host and port.
    pub fn http(&self) -> &str {
        &self.http
    }

    /// Where the gRPC API is: host and port.
    pub fn grpc(&self) -> &str {
        &self.grpc
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

/// The addresses of the HTTP and the gRPC API, or the log of a process that has none.
type Said = Result<(String, String), String>;

/// Reads the log to its end, so that the process never waits for a reader. Says the addresses that
/// it listens on, of which the HTTP API's is the last.
fn follow(log: impl Read, said: &mpsc::Sender<Said>) {
    let (mut all, mut grpc) = (String::new(), String::new());
    for line in BufReader::new(log).lines().map_while(Result::ok) {
        if let Some(address) = address(&line, "listening on grpc://") {
            grpc = address;
        }
        if let Some(http) = address(&line, "listening on http://") {
            let _ = said.send(Ok((http, grpc.clone())));
        }
        all.push_str(&line);
        all.push('\n');
    }
    let _ = said.send(Err(all));
}

fn address(line: &str, after: &str) -> Option<String> {
    let (_, address) = line.split_once(after)?;
    address.split_whitespace().next().map(str::to_owned)
}

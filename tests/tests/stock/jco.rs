//! The compositions in `jco run` and `jco serve`, which run them in Node, used as the documentation shows it.

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
    process::{Command, Stdio},
};

use holdfast_compositions::Composition;
use holdfast_tests::{
    eventually, free_port, http_api, prepared, redis_server::RedisServer, sdk::Running,
    temporary_dir,
};
use tempfile::TempDir;
use tokio::net::TcpStream;

/// jco, and a folder with the compositions as files.
struct Jco {
    made: PathBuf,
    files: TempDir,
}

impl Jco {
    /// `None` where it is not prepared.
    fn prepared() -> Option<Self> {
        let made = prepared("HOLDFAST_HOST_JCO", "lock component's host jco")?;
        let files = temporary_dir();
        for Composition { name, wasm } in holdfast_compositions::all().unwrap() {
            fs::write(files.path().join(name), wasm).unwrap();
        }
        Some(Self { made, files })
    }

    fn command(&self, redis: &RedisServer, words: &[&str]) -> Command {
        let mut jco = Command::new("node");
        jco.arg(self.made.join("node_modules/@bytecodealliance/jco/dist/jco.js")).args(words);
        jco.current_dir(self.files.path());
        // Its own folder of transpiled code is a temporary one.
        jco.env("TMPDIR", self.files.path());
        jco.env("REDIS_HOST", redis.address()).env("APP_ID", "app1");
        jco
    }
}

#[test]
fn the_command_exits_by_its_answer() {
    let Some(jco) = Jco::prepared() else { return };
    let server = RedisServer::start();
    for (line, exit, printed) in [
        ("try-lock lockstore r --owner me --expiry 60", 0, "true\n"),
        ("try-lock lockstore r --owner me --expiry 60", 1, "false\n"),
        ("unlock lockstore r --owner you --json", 1, r#"{"status":2}"#),
        ("unlock lockstore r --owner me", 0, "success\n"),
        ("unlock other r --owner me", 2, ""),
    ] {
        let words: Vec<_> =
            ["run", "holdfast-lock-cli.wasm"].into_iter().chain(line.split(' ')).collect();
        let output = jco.command(&server, &words).stdin(Stdio::null()).output().unwrap();
        let stdout = String::from_utf8_lossy(&output.stdout);
        assert_eq!((output.status.code(), &*stdout), (Some(exit), printed), "{output:?}");
        if exit == 2 {
            let stderr = String::from_utf8_lossy(&output.stderr);
            assert!(stderr.contains("holdfast: lock store other not found\n"), "{stderr}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_http_api_is_served() {
    let Some(jco) = Jco::prepared() else { return };
    let server = RedisServer::start();
    let port = free_port();
    let flags = ["--host", "127.0.0.1", "--port", &port.to_string()];
    let words = [&["serve", "holdfast-lock-http.wasm"][..], &flags].concat();
    let _serving = Running::start(jco.command(&server, &words));
    let address: SocketAddr = (Ipv4Addr::LOCALHOST, port).into();
    eventually("jco listens", async || TcpStream::connect(address).await.is_ok()).await;
    http_api::guide(address).await;
    http_api::errors(address).await;
    http_api::forgiven(address).await;
    http_api::bounded_bodies(address).await;
    http_api::plain_paths(address).await;
    http_api::escaped_dots(address).await;
    http_api::unknown_of_http(address).await;
    http_api::health(address).await;
    for _ in 0..10 {
        http_api::contention(address).await;
    }
}

//! `holdfast health`, as an orchestrator without a shell uses it.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod binary;

use std::{
    io::{Read, Write},
    net::TcpListener,
    thread,
};

use binary::{Serving, holdfast, serve};

fn health(args: &[&str]) -> (Option<i32>, String) {
    let output = holdfast().arg("health").args(args).output().unwrap();
    assert!(output.stdout.is_empty());
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

/// A server that answers its first request with this, or with silence.
fn answering(answer: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut request = [0; 1024];
        let length = stream.read(&mut request).unwrap();
        assert!(request[..length].starts_with(b"GET /v1.0/healthz HTTP/1.1\r\n"));
        stream.write_all(answer.as_bytes()).unwrap();
        // Until the other side has gone.
        let _ = stream.read(&mut request);
    });
    port
}

#[test]
fn a_server_that_is_ready_is_healthy_on_both_its_ports() {
    let mut command = serve();
    command.args(["--dapr-public-port", "0", "--dapr-public-listen-address", "127.0.0.1"]);
    command.env("DAPR_API_TOKEN", "secret");
    let mut serving = Serving::start(command);
    let public = serving.port("health checks and metadata, for everybody, on http://");
    let port = serving.port("listening on http://");
    for args in [
        &["--port", &port][..],
        &["--port", &public],
        &["--port", &port, "--address", "localhost"],
        &["--port", &port, "--timeout", "60"],
    ] {
        assert_eq!(health(args), (Some(0), String::new()), "{args:?}");
    }
    let asked = holdfast().arg("health").env("DAPR_HTTP_PORT", &port).output().unwrap();
    assert_eq!(asked.status.code(), Some(0));

    assert_eq!(serving.terminate(), Some(0));
    let (code, error) = health(&["--port", &port]);
    assert_eq!(code, Some(1));
    let refused = format!("holdfast: 127.0.0.1, port {port}: cannot connect: Connection refused");
    assert!(error.starts_with(&refused), "{error}");
}

#[test]
fn whatever_else_answers_is_not_healthy_and_says_why() {
    for (answer, reason) in [
        (
            "HTTP/1.1 500 Internal Server Error\r\nContent-Length: 8\r\n\r\nstarting",
            "not ready: 500 Internal Server Error starting",
        ),
        ("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "not ready: 200 OK"),
        ("SSH-2.0-OpenSSH\r\n", "no answer: "),
    ] {
        let (code, error) = health(&["--port", &answering(answer)]);
        assert_eq!(code, Some(1), "{answer}");
        assert!(error.contains(reason), "{error}");
        assert_eq!(error.lines().count(), 1, "{error}");
    }
    let (code, error) = health(&["--port", &answering(""), "--timeout", "1"]);
    assert_eq!(code, Some(1));
    assert!(error.contains("no answer within 1s"), "{error}");
}

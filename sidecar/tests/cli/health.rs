//! `holdfast health`, which an orchestrator runs where there is no shell.

use std::{
    io::{Read, Write},
    net::TcpListener,
    thread,
};

use holdfast_tests::holdfast::{Holdfast, command};
use rustix::process::Signal;

use crate::HOLDFAST;

fn health(args: &[&str]) -> (Option<i32>, String) {
    let output = command(HOLDFAST).arg("health").args(args).output().unwrap();
    assert!(output.stdout.is_empty());
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

/// The port of a server that answers its first request with this, or not at all if it is empty.
fn answering(answer: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut request = [0; 1024];
        let length = stream.read(&mut request).unwrap();
        assert!(request[..length].starts_with(b"GET /v1.0/healthz HTTP/1.1\r\n"));
        stream.write_all(answer.as_bytes()).unwrap();
        // Until the client closes the connection.
        let _ = stream.read(&mut request);
    });
    port
}

#[test]
fn a_port_and_a_socket_are_two_places() {
    let (code, stderr) = health(&["--port", "1", "--unix-domain-socket", "/tmp"]);
    let expected = "error: the argument '--unix-domain-socket <DIR>' cannot be used with '--port <PORT>'\n\n\
         Usage: holdfast health ";
    assert_eq!(code, Some(2));
    assert!(stderr.starts_with(expected), "{stderr}");
}

#[test]
fn health_exits_with_0_on_both_ports_of_a_ready_server() {
    let token = [("DAPR_API_TOKEN", "secret")];
    let public = ["--dapr-public-port", "0", "--dapr-public-listen-address", "127.0.0.1"];
    let mut holdfast = Holdfast::serve_in(&token, HOLDFAST, &public);
    let port = |address: String| address.rsplit_once(':').unwrap().1.to_owned();
    let (public, port) = (port(holdfast.public()), port(holdfast.http()));
    for args in [
        &["--port", &port][..],
        &["--port", &public],
        &["--port", &port, "--address", "localhost"],
        &["--port", &port, "--timeout", "60"],
    ] {
        assert_eq!(health(args), (Some(0), String::new()), "{args:?}");
    }
    let asked = command(HOLDFAST).arg("health").env("DAPR_HTTP_PORT", &port).output().unwrap();
    assert_eq!(asked.status.code(), Some(0));

    assert_eq!(holdfast.end_by(Signal::TERM), Some(0));
    let (code, error) = health(&["--port", &port]);
    assert_eq!(code, Some(1));
    let refused = format!("holdfast: 127.0.0.1, port {port}: cannot connect: Connection refused");
    assert!(error.starts_with(&refused), "{error}");
}

#[test]
fn health_exits_with_1_and_says_why() {
    for (answer, reason) in [
        (
            "HTTP/1.1 500 Internal Server Error\r\nContent-Length: 8\r\n\r\nstarting",
            "not ready: 500 Internal Server Error starting",
        ),
        ("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "not ready: 200 OK"),
        ("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", "not ready: 404 Not Found"),
        (
            "HTTP/1.1 500 Internal Server Error\r\nContent-Length: 8\r\n\r\na\nb\x1b[31m",
            "not ready: 500 Internal Server Error a\\nb\\u{1b}[31m",
        ),
    ] {
        let port = answering(answer);
        let expected = format!("holdfast: 127.0.0.1, port {port}: {reason}\n");
        assert_eq!(health(&["--port", &port]), (Some(1), expected), "{answer}");
    }
    let (code, error) = health(&["--port", &answering("SSH-2.0-OpenSSH\r\n")]);
    assert_eq!((code, error.lines().count()), (Some(1), 1), "{error}");
    assert!(error.contains("the answer is not HTTP/1.1: "), "{error}");
    let (code, error) = health(&["--port", &answering(""), "--timeout", "1"]);
    assert_eq!(code, Some(1));
    assert!(error.contains("no answer within 1s"), "{error}");
}

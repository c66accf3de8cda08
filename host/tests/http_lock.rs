//! The two lock calls over a real socket, byte for byte.

#![allow(clippy::unwrap_used, reason = "helpers of tests may panic as tests do")]

mod support;

use std::time::Duration;

use bytes::Bytes;
use holdfast::{Limits, Locks, sidecar::Sidecar, store::memory::MemoryStore};
use http_body_util::{BodyExt, Full};
use hyper::{Request, header::CONTENT_TYPE};
use hyper_util::rt::{TokioExecutor, TokioIo};
use support::{Down, LONG, exchange, lock_body, post, request, serve, serve_memory, serve_store};
use tokio::net::TcpStream;

const LOCK: &str = "/v1.0-alpha1/lock/lockstore";
const UNLOCK: &str = "/v1.0-alpha1/unlock/lockstore";
const MAX_BODY: usize = 4 << 20;

fn error(code: &str, message: &str) -> String {
    format!(r#"{{"errorCode":"{code}","message":"{message}"}}"#)
}

#[tokio::test]
async fn the_calls_of_the_guide_are_answered_byte_for_byte() {
    let server = serve_memory().await;
    let body =
        r#"{"resourceId":"my_file_name","lockOwner":"random_id_abc123","expiryInSeconds":60}"#;
    for (target, body, reply) in [
        (LOCK, body, r#"{"success":true}"#),
        (LOCK, body, r#"{"success":false}"#),
        (UNLOCK, r#"{"resourceId":"my_file_name","lockOwner":"other"}"#, r#"{"status":2}"#),
        (UNLOCK, body, r#"{"status":0}"#),
        (UNLOCK, body, r#"{"status":1}"#),
    ] {
        let response = post(server.address, target, body).await;
        assert_eq!((response.status, response.body.as_str()), (200, reply));
        assert_eq!(response.header("content-type"), Some("application/json"));
        assert_eq!(response.header("content-length"), Some(reply.len().to_string().as_str()));
        let mut names: Vec<_> = response.headers.iter().map(|(name, _)| name.as_str()).collect();
        names.sort_unstable();
        assert_eq!(names, ["connection", "content-length", "content-type", "date"]);
    }
}

#[tokio::test]
async fn each_row_of_the_error_table() {
    let server = serve_memory().await;
    let (malformed, not_found) = ("ERR_MALFORMED_REQUEST", "ERR_LOCK_STORE_NOT_FOUND");
    let reserved = "input key/keyPrefix 'a||b' can't contain '||'";
    let rows = [
        ("lock/other", lock_body("r", "o"), 400, not_found, "lock store other not found"),
        ("unlock/other", lock_body("r", "o"), 400, not_found, "lock store other not found"),
        (
            "lock/lockstore",
            lock_body("", "o"),
            400,
            malformed,
            "ResourceId is empty in lock store lockstore",
        ),
        (
            "unlock/lockstore",
            lock_body("", "o"),
            400,
            malformed,
            "ResourceId is empty in lock store lockstore",
        ),
        (
            "lock/lockstore",
            lock_body("r", ""),
            400,
            malformed,
            "LockOwner is empty in lock store lockstore",
        ),
        (
            "unlock/lockstore",
            lock_body("r", ""),
            400,
            malformed,
            "LockOwner is empty in lock store lockstore",
        ),
        (
            "lock/lockstore",
            r#"{"resourceId":"r","lockOwner":"o"}"#.to_owned(),
            400,
            malformed,
            "ExpiryInSeconds is not positive in lock store lockstore",
        ),
        (
            "lock/lockstore",
            lock_body("a||b", "o"),
            500,
            "ERR_TRY_LOCK",
            &format!("failed to try acquiring lock: {reserved}"),
        ),
        (
            "unlock/lockstore",
            lock_body("a||b", "o"),
            500,
            "ERR_UNLOCK",
            &format!("failed to release lock: {reserved}"),
        ),
    ];
    for (call, body, status, code, message) in rows {
        let response = post(server.address, &format!("/v1.0-alpha1/{call}"), body).await;
        assert_eq!((response.status, response.body), (status, error(code, message)), "{call}");
    }
    for body in ["{", "null", "[]", " ", r#"{"expiryInSeconds":60.5}"#, "{}{}", "\u{FEFF}{}"] {
        for target in [LOCK, UNLOCK] {
            if target == UNLOCK && body.contains("60.5") {
                continue;
            }
            let response = post(server.address, target, body).await;
            assert_eq!(response.status, 400, "{body}");
            let start = error(malformed, "failed deserializing HTTP body: ");
            let start = start.trim_end_matches("\"}");
            assert!(response.body.starts_with(start), "{body}: {}", response.body);
        }
    }
}

#[tokio::test]
async fn no_store_at_all() {
    let locks = Locks::builder().build().unwrap();
    let server = serve(Sidecar::new(locks, "", Vec::new(), None), LONG).await;
    for target in [LOCK, UNLOCK] {
        let response = post(server.address, target, lock_body("r", "o")).await;
        let expected = error("ERR_LOCK_STORE_NOT_CONFIGURED", "lock store is not configured");
        assert_eq!((response.status, response.body), (500, expected));
    }
}

#[tokio::test]
async fn a_store_that_fails() {
    let server = serve_store(Down, Limits::default()).await;
    for (target, code, doing) in [
        (LOCK, "ERR_TRY_LOCK", "failed to try acquiring lock"),
        (UNLOCK, "ERR_UNLOCK", "failed to release lock"),
    ] {
        let response = post(server.address, target, lock_body("r", "o")).await;
        let expected = error(code, &format!(r#"{doing}: no \"connection\""#));
        assert_eq!((response.status, response.body), (500, expected));
    }
}

#[tokio::test]
async fn what_dapr_forgives_is_forgiven() {
    let server = serve_memory().await;
    for (number, body) in [
        r#"{"resource_id":"r1","lock_owner":"o","expiry_in_seconds":"60"}"#,
        r#"{"resourceId":"r2","lockOwner":"o","expiryInSeconds":6e1,"storeName":"x","more":[]}"#,
        r#" {"resourceId" : "r3", "lockOwner":"o","expiryInSeconds":60.0}"#,
    ]
    .into_iter()
    .enumerate()
    {
        let content_type = ["", "Content-Type: text/plain\r\n", "Content-Type: nonsense\r\n"];
        let request = request("POST", LOCK, content_type[number], body.as_bytes());
        let response = exchange(server.address, &request).await;
        assert_eq!(response.body, r#"{"success":true}"#, "{body}");
    }
    let empty = post(server.address, UNLOCK, "").await;
    assert!(empty.body.contains("ResourceId is empty"), "{}", empty.body);
}

#[tokio::test]
async fn a_body_of_four_mebibytes_is_read_and_no_more() {
    let server = serve_memory().await;
    let mut body = lock_body("big", "o").into_bytes();
    body.resize(MAX_BODY, b' ');
    let taken = post(server.address, LOCK, &body).await;
    assert_eq!((taken.status, taken.body.as_str()), (200, r#"{"success":true}"#));

    let too_large = error("ERR_BODY_READ", "failed to read request body: stream too large");
    body.push(b' ');
    let refused = post(server.address, LOCK, &body).await;
    assert_eq!((refused.status, &refused.body), (400, &too_large));

    for (padding, expected) in [(0, r#"{"status":0}"#), (1, too_large.as_str())] {
        let mut chunked = b"POST /v1.0-alpha1/unlock/lockstore HTTP/1.1\r\nHost: l\r\n\
            Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
            .to_vec();
        for chunk in body[..MAX_BODY + padding].chunks(100_000) {
            chunked.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
            chunked.extend_from_slice(chunk);
            chunked.extend_from_slice(b"\r\n");
        }
        chunked.extend_from_slice(b"0\r\n\r\n");
        let response = exchange(server.address, &chunked).await;
        assert_eq!(response.body, expected, "{padding}");
    }
}

#[tokio::test]
async fn of_a_huge_body_nothing_is_read() {
    let server = serve_memory().await;
    let head = "POST /v1.0-alpha1/lock/lockstore HTTP/1.1\r\nHost: l\r\nConnection: close\r\n\
        Content-Length: 99999999999\r\nExpect: 100-continue\r\n\r\n";
    let response = exchange(server.address, head.as_bytes()).await;
    assert_eq!(response.status, 400);
    assert!(response.body.contains("stream too large"), "{}", response.body);
}

#[tokio::test]
async fn a_component_that_runs_out_of_memory_is_one_failed_request() {
    let mut limits = Limits::default();
    limits.instance_memory = 2 << 20;
    let server = serve_store(MemoryStore::new(), limits).await;
    for (target, code, doing) in [
        (LOCK, "ERR_TRY_LOCK", "failed to try acquiring lock: "),
        (UNLOCK, "ERR_UNLOCK", "failed to release lock: "),
    ] {
        let response = post(server.address, target, vec![b' '; MAX_BODY]).await;
        let start = error(code, doing);
        let start = start.trim_end_matches("\"}");
        assert_eq!(response.status, 500);
        assert!(response.body.starts_with(start), "{}", response.body);
    }
    let after = post(server.address, LOCK, lock_body("r", "o")).await;
    assert_eq!(after.body, r#"{"success":true}"#);
}

#[tokio::test]
async fn paths_are_cleaned_and_then_unescaped() {
    let server = serve_memory().await;
    for target in [
        "//v1.0-alpha1///lock//lockstore",
        "/v1.0-alpha1/lock/lockstore/",
        "/x/../v1.0-alpha1/./lock/y/../lockstore",
        "/../v1.0-alpha1/lock/lockstore",
        "/v1.0-alpha1/lock/%6Cockstore",
        "/v1.0-alpha1/lock/lockstore?a=b",
        "http://localhost/v1.0-alpha1/lock/lockstore",
    ] {
        let response = post(server.address, target, lock_body(target, "o")).await;
        assert_eq!(response.body, r#"{"success":true}"#, "{target}");
    }
    for (segment, name) in [
        ("a%2Fb", "a/b"),
        ("a%20b", "a b"),
        ("a+b", "a b"),
        ("a%2Bb", "a+b"),
        ("%2e%2e", ".."),
        ("%C3%A9", "é"),
        ("a%25", "a%"),
    ] {
        let target = format!("/v1.0-alpha1/lock/{segment}");
        let response = post(server.address, &target, lock_body("r", "o")).await;
        let message = format!("lock store {name} not found");
        assert_eq!(response.body, error("ERR_LOCK_STORE_NOT_FOUND", &message));
    }
    let broken = post(server.address, "/v1.0-alpha1/lock/a%zz", "{}").await;
    assert_eq!((broken.status, broken.body.as_str()), (400, "400 Bad Request"));
    assert_eq!(broken.header("content-type"), Some("text/plain; charset=utf-8"));
}

#[tokio::test]
async fn everything_else_is_not_found_and_never_not_allowed() {
    let server = serve_memory().await;
    let message = "failed getting app id either from the URL path or the header dapr-app-id";
    for (method, target) in [
        ("GET", LOCK),
        ("PUT", LOCK),
        ("DELETE", UNLOCK),
        ("BREW", LOCK),
        ("POST", "/v1.0-alpha1/lock"),
        ("POST", "/v1.0-alpha1/lock/"),
        ("POST", "/v1.0-alpha1/lock/a/b"),
        ("POST", "/v1.0/lock/lockstore"),
        ("POST", "/v1.0%2Dalpha1/lock/lockstore"),
        ("POST", "/v1.0-alpha1/lock%2Flockstore"),
        ("POST", "/V1.0-alpha1/lock/lockstore"),
        ("POST", "/v1.0/healthz"),
        ("POST", "/v1.0/metadata"),
        ("GET", "/v1.0/metadata/key"),
        ("GET", "/"),
        ("GET", "/v1.0/invoke"),
    ] {
        let request = request(method, target, "", b"{}");
        let response = exchange(server.address, &request).await;
        let expected = (404, error("ERR_DIRECT_INVOKE", message));
        assert_eq!((response.status, response.body), expected, "{method} {target}");
        assert_eq!(response.headers.iter().find(|(name, _)| name == "allow"), None);
    }
}

#[tokio::test]
async fn http_2_is_served_on_the_same_port() {
    let server = serve_memory().await;
    let stream = TcpStream::connect(server.address).await.unwrap();
    let handshake =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream));
    let (mut sender, connection) = handshake.await.unwrap();
    tokio::spawn(connection);
    let uri = format!("http://{}{LOCK}", server.address);
    for reply in [r#"{"success":true}"#, r#"{"success":false}"#] {
        let body = Full::new(Bytes::from(lock_body("r", "o")));
        let request = Request::post(&uri).body(body).unwrap();
        let response = sender.send_request(request).await.unwrap();
        assert_eq!(response.headers()[CONTENT_TYPE], "application/json");
        let body = response.into_body().collect().await.unwrap().to_bytes();
        assert_eq!(body, reply.as_bytes());
    }
}

#[tokio::test]
async fn requests_follow_each_other_on_one_connection() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let server = serve_memory().await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    for reply in [r#"{"status":1}"#; 3] {
        let body = lock_body("r", "o");
        let request = format!(
            "POST {UNLOCK} HTTP/1.1\r\nHost: l\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut got = Vec::new();
        while !got.ends_with(reply.as_bytes()) {
            let more = tokio::time::timeout(Duration::from_secs(60), stream.read_buf(&mut got));
            assert_ne!(more.await.unwrap().unwrap(), 0, "{}", String::from_utf8_lossy(&got));
        }
    }
}

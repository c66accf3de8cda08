//! The answers of every server of Dapr's HTTP API. The functions check any server of the application `app1` with a
//! store `lockstore`.

#![allow(clippy::unwrap_used, reason = "helpers of tests may panic as tests do")]

use std::net::SocketAddr;

use tokio::task::JoinSet;

use crate::http_client::{exchange, get, lock_body, post, request};

/// The path of a try-lock in the store `lockstore`.
pub const LOCK: &str = "/v1.0-alpha1/lock/lockstore";

/// The path of an unlock there.
pub const UNLOCK: &str = "/v1.0-alpha1/unlock/lockstore";

/// The longest body that a server accepts, in bytes.
pub const MAX_BODY: usize = 4 << 20;

/// The body that says that a lock is acquired.
pub const ACQUIRED: &str = r#"{"success":true}"#;

/// The body that says that a lock is held already.
pub const HELD: &str = r#"{"success":false}"#;

/// The body that says that a lock is released.
pub const RELEASED: &str = r#"{"status":0}"#;

/// The body that says that nobody holds a lock.
pub const MISSING: &str = r#"{"status":1}"#;

/// The body that says that another owner holds a lock.
pub const HELD_BY_OTHER: &str = r#"{"status":2}"#;

/// The body of an error.
pub fn error(code: &str, message: &str) -> String {
    format!(r#"{{"errorCode":"{code}","message":"{message}"}}"#)
}

/// Makes the calls of Dapr's guide, and checks the headers too.
///
/// # Panics
///
/// When an answer differs.
pub async fn guide(address: SocketAddr) {
    guide_with(address, &["connection", "content-length", "content-type", "date"]).await;
}

/// Makes the calls of Dapr's guide to a server whose responses have these headers, in the order of their names.
///
/// # Panics
///
/// When an answer differs.
pub async fn guide_with(address: SocketAddr, headers: &[&str]) {
    let body =
        r#"{"resourceId":"my_file_name","lockOwner":"random_id_abc123","expiryInSeconds":60}"#;
    for (target, body, reply) in [
        (LOCK, body, ACQUIRED),
        (LOCK, body, HELD),
        (UNLOCK, r#"{"resourceId":"my_file_name","lockOwner":"other"}"#, HELD_BY_OTHER),
        (UNLOCK, body, RELEASED),
        (UNLOCK, body, MISSING),
    ] {
        let response = post(address, target, body).await;
        assert_eq!((response.status, response.body.as_str()), (200, reply));
        assert_eq!(response.header("content-type"), Some("application/json"));
        assert_eq!(response.header("content-length"), Some(reply.len().to_string().as_str()));
        let mut names: Vec<_> = response.headers.iter().map(|(name, _)| name.as_str()).collect();
        names.sort_unstable();
        assert_eq!(names, headers);
    }
}

/// Makes a call for each error that does not take a broken store.
///
/// # Panics
///
/// When an answer differs.
pub async fn errors(address: SocketAddr) {
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
        let response = post(address, &format!("/v1.0-alpha1/{call}"), body).await;
        assert_eq!((response.status, response.body), (status, error(code, message)), "{call}");
    }
    for body in ["{", "null", "[]", " ", r#"{"expiryInSeconds":60.5}"#, "{}{}", "\u{FEFF}{}"] {
        for target in [LOCK, UNLOCK] {
            if target == UNLOCK && body.contains("60.5") {
                continue;
            }
            let response = post(address, target, body).await;
            assert_eq!(response.status, 400, "{body}");
            let start = error(malformed, "failed deserializing HTTP body: ");
            let start = start.trim_end_matches("\"}");
            assert!(response.body.starts_with(start), "{body}: {}", response.body);
        }
    }
}

/// Sends bodies that are not quite right and that Dapr accepts.
///
/// # Panics
///
/// When an answer differs.
pub async fn forgiven(address: SocketAddr) {
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
        let response = exchange(address, &request).await;
        assert_eq!(response.body, ACQUIRED, "{body}");
    }
    let empty = post(address, UNLOCK, "").await;
    assert!(empty.body.contains("ResourceId is empty"), "{}", empty.body);
}

/// Sends bodies of 4 MiB, and larger ones.
///
/// # Panics
///
/// When an answer differs.
pub async fn bounded_bodies(address: SocketAddr) {
    let mut body = lock_body("big", "o").into_bytes();
    body.resize(MAX_BODY, b' ');
    let taken = post(address, LOCK, &body).await;
    assert_eq!((taken.status, taken.body.as_str()), (200, ACQUIRED));

    let too_large = error("ERR_BODY_READ", "failed to read request body: stream too large");
    body.push(b' ');
    let refused = post(address, LOCK, &body).await;
    assert_eq!((refused.status, &refused.body), (400, &too_large));

    for (padding, expected) in [(0, RELEASED), (1, too_large.as_str())] {
        let mut chunked = b"POST /v1.0-alpha1/unlock/lockstore HTTP/1.1\r\nHost: l\r\n\
            Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
            .to_vec();
        for chunk in body[..MAX_BODY + padding].chunks(100_000) {
            chunked.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
            chunked.extend_from_slice(chunk);
            chunked.extend_from_slice(b"\r\n");
        }
        chunked.extend_from_slice(b"0\r\n\r\n");
        let response = exchange(address, &chunked).await;
        assert_eq!(response.body, expected, "{padding}");
    }
}

/// Announces a huge body that the server must not read.
///
/// # Panics
///
/// When an answer differs.
pub async fn huge_bodies(address: SocketAddr) {
    let head = "POST /v1.0-alpha1/lock/lockstore HTTP/1.1\r\nHost: l\r\nConnection: close\r\n\
        Content-Length: 99999999999\r\nExpect: 100-continue\r\n\r\n";
    let response = exchange(address, head.as_bytes()).await;
    assert_eq!(response.status, 400);
    assert!(response.body.contains("stream too large"), "{}", response.body);
}

/// Sends paths that are to be cleaned and then unescaped.
///
/// # Panics
///
/// When an answer differs.
pub async fn paths(address: SocketAddr) {
    plain_paths(address).await;
    whole_urls(address).await;
    escaped_dots(address).await;
}

/// Sends a URL in place of a path, as to a proxy.
///
/// # Panics
///
/// When an answer differs.
pub async fn whole_urls(address: SocketAddr) {
    let target = "http://localhost/v1.0-alpha1/lock/lockstore";
    let response = post(address, target, lock_body(target, "o")).await;
    assert_eq!(response.body, ACQUIRED, "{target}");
}

/// Sends dots that are escaped, which is how a URL may spell `..`.
///
/// # Panics
///
/// When an answer differs.
pub async fn escaped_dots(address: SocketAddr) {
    assert_names(address, "%2e%2e", "..").await;
}

/// Sends the paths that mean the same to all servers.
///
/// # Panics
///
/// When an answer differs.
pub async fn plain_paths(address: SocketAddr) {
    for target in [
        "//v1.0-alpha1///lock//lockstore",
        "/v1.0-alpha1/lock/lockstore/",
        "/x/../v1.0-alpha1/./lock/y/../lockstore",
        "/../v1.0-alpha1/lock/lockstore",
        "/v1.0-alpha1/lock/%6Cockstore",
        "/v1.0-alpha1/lock/lockstore?a=b",
    ] {
        let response = post(address, target, lock_body(target, "o")).await;
        assert_eq!(response.body, ACQUIRED, "{target}");
    }
    for (segment, name) in [
        ("a%2Fb", "a/b"),
        ("a%20b", "a b"),
        ("a+b", "a b"),
        ("a%2Bb", "a+b"),
        ("%C3%A9", "é"),
        ("a%25", "a%"),
    ] {
        assert_names(address, segment, name).await;
    }
    let broken = post(address, "/v1.0-alpha1/lock/a%zz", "{}").await;
    assert_eq!((broken.status, broken.body.as_str()), (400, "400 Bad Request"));
    assert_eq!(broken.header("content-type"), Some("text/plain; charset=utf-8"));
}

/// Checks that a segment of a path names this store, which does not exist.
async fn assert_names(address: SocketAddr, segment: &str, name: &str) {
    let target = format!("/v1.0-alpha1/lock/{segment}");
    let response = post(address, &target, lock_body("r", "o")).await;
    let message = format!("lock store {name} not found");
    assert_eq!(response.body, error("ERR_LOCK_STORE_NOT_FOUND", &message));
}

/// Sends other methods and paths, which are not found (404) and never not allowed (405).
///
/// # Panics
///
/// When an answer differs.
pub async fn unknown(address: SocketAddr) {
    unknown_of_http(address).await;
    assert_unknown(address, "BREW", LOCK).await;
}

/// Sends only requests whose methods are HTTP's own.
///
/// # Panics
///
/// When an answer differs.
pub async fn unknown_of_http(address: SocketAddr) {
    for (method, target) in [
        ("GET", LOCK),
        ("PUT", LOCK),
        ("DELETE", UNLOCK),
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
        assert_unknown(address, method, target).await;
    }
}

async fn assert_unknown(address: SocketAddr, method: &str, target: &str) {
    let message = "failed getting app id either from the URL path or the header dapr-app-id";
    let request = request(method, target, "", b"{}");
    let response = exchange(address, &request).await;
    let expected = (404, error("ERR_DIRECT_INVOKE", message));
    assert_eq!((response.status, response.body), expected, "{method} {target}");
    assert_eq!(response.headers.iter().find(|(name, _)| name == "allow"), None);
}

/// Asks a server that is ready for its health.
///
/// # Panics
///
/// When an answer differs.
pub async fn health(address: SocketAddr) {
    for target in [
        "/v1.0/healthz",
        "/v1.0/healthz/",
        "/v1.0/healthz/outbound",
        "/v1.0/healthz?appid=app1",
        "/v1.0/healthz?appid=%61pp1",
        "/v1.0/healthz?other=1",
        // Go leaves out a pair that it cannot read.
        "/v1.0/healthz?appid=zz;x",
        "/v1.0/healthz?appid=%zz",
        "/v1.0/healthz?appid=app2%4",
        "/v1.0/healthz?appid=%%31&appid=app1",
        "/v1.0/healthz/outbound?appid=other",
    ] {
        let response = get(address, target).await;
        assert_eq!((response.status, response.body.as_str()), (204, ""), "{target}");
        assert_eq!(response.header("content-type"), None);
    }
    for target in [
        "/v1.0/healthz?appid=app2",
        "/v1.0/healthz?appid=",
        "/v1.0/healthz?appid=%zz&appid=app2",
        "/v1.0/healthz?a;b&appid=app2",
    ] {
        let response = get(address, target).await;
        let expected =
            r#"{"errorCode":"ERR_HEALTH_APPID_NOT_MATCH","message":"dapr app-id does not match"}"#;
        assert_eq!((response.status, response.body.as_str()), (500, expected));
    }
}

/// Calls a server whose token is `secret`: only health checks do not need it.
///
/// # Panics
///
/// When an answer differs.
pub async fn token(address: SocketAddr) {
    let body = lock_body("r", "o");
    for headers in ["", "dapr-api-token: Secret\r\n", "dapr-api-token:\r\n"] {
        for (method, target) in [
            ("POST", LOCK),
            ("GET", "/v1.0/metadata"),
            ("GET", "/nowhere"),
            ("POST", "/v1.0/healthz"),
            ("GET", "/v1.0//healthz"),
        ] {
            let request = request(method, target, headers, body.as_bytes());
            let response = exchange(address, &request).await;
            assert_eq!((response.status, response.body.as_str()), (401, "invalid api token\n"));
            assert_eq!(response.header("content-type"), Some("text/plain; charset=utf-8"));
            assert_eq!(response.header("x-content-type-options"), Some("nosniff"));
        }
    }
    for target in ["/v1.0/healthz", "/v1.0/healthz/outbound", "/v1.0/healthz/"] {
        assert_eq!(get(address, target).await.status, 204, "{target}");
    }
    let request = request("POST", LOCK, "Dapr-Api-Token: secret\r\n", body.as_bytes());
    assert_eq!(exchange(address, &request).await.body, ACQUIRED);
}

/// Lets many callers try the same lock at once: one of them gets it.
///
/// # Panics
///
/// When an answer differs.
pub async fn contention(address: SocketAddr) {
    let callers: JoinSet<_> = (0..60)
        .map(|caller| async move {
            let owner = format!("owner{caller}");
            let response = post(address, LOCK, lock_body("contended", &owner)).await;
            assert_eq!(response.status, 200, "{}", response.body);
            (response.body == ACQUIRED).then_some(owner)
        })
        .collect();
    let winners: Vec<_> = callers.join_all().await.into_iter().flatten().collect();
    let [winner] = winners.as_slice() else { panic!("{winners:?}") };
    let freed = post(address, UNLOCK, lock_body("contended", winner)).await;
    assert_eq!(freed.body, RELEASED);
}

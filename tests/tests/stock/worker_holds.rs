//! `examples/workers/` in workerd holds a lock for as long as a response lasts.

use std::net::SocketAddr;

use holdfast_tests::{
    LONG, eventually,
    http_api::{ACQUIRED, HELD, LOCK, RELEASED, UNLOCK, error},
    http_client::{lock_body, post, request},
    temporary_dir,
    workerd::Workerd,
};
use reqwest::Response;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

/// A server, and the folder of its locks. `None` where workerd is not prepared.
fn serve() -> Option<(Workerd, TempDir)> {
    let locks = temporary_dir();
    Some((Workerd::start(Workerd::prepared()?, locks.path(), &[]), locks))
}

/// The events of a hold. Dropping it closes its connection.
struct Hold {
    response: Response,
    read: Vec<u8>,
}

impl Hold {
    async fn ask(address: SocketAddr, body: Value) -> Self {
        let url = format!("http://{address}/v1.0/leases/lockstore/hold");
        let request = reqwest::Client::new().post(url).body(body.to_string());
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "application/x-ndjson");
        Self { response, read: Vec::new() }
    }

    /// The next event; `None` at the end.
    async fn event(&mut self) -> Option<Value> {
        loop {
            if let Some(end) = self.read.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.read.drain(..=end).collect();
                return Some(serde_json::from_slice(&line).unwrap());
            }
            let more = timeout(LONG, self.response.chunk()).await.expect("in time").unwrap();
            match more {
                Some(more) => self.read.extend_from_slice(&more),
                None => return None,
            }
        }
    }

    /// The events that are of this kind, after any renewals.
    async fn after_renewals(&mut self, kind: &str) -> Value {
        loop {
            let event = self.event().await.expect("another event");
            match event.get(kind) {
                Some(event) => return event.clone(),
                None => assert!(event.get("renewed").is_some(), "{event}"),
            }
        }
    }
}

fn owner(held: &Value) -> &str {
    held["lockOwner"].as_str().unwrap()
}

#[tokio::test]
async fn a_lock_is_renewed_as_long_as_its_connection_lasts() {
    let Some((workerd, _locks)) = serve() else { return };
    let address = workerd.address();
    let mut hold = Hold::ask(address, json!({"resourceId": "r", "ttl": "3s"})).await;
    let held = hold.after_renewals("held").await;
    assert!(
        held["validFor"].as_str().unwrap().ends_with('s') && held.get("fencingToken").is_none()
    );
    // Each comes a third of the time to live after the one before: five last longer than the lock would.
    for _ in 0..5 {
        assert!(hold.event().await.unwrap()["renewed"]["validFor"].is_string());
    }
    assert_eq!(post(address, LOCK, lock_body("r", "you")).await.body, HELD);

    let wait = json!({"resourceId": "r", "ttl": "60s", "wait": "60s", "fenced": true});
    let waits = tokio::spawn(Hold::ask(address, wait));
    drop(hold);
    let mut next = waits.await.unwrap();
    let held = next.after_renewals("held").await;
    assert!(held["fencingToken"].as_str().unwrap().parse::<u64>().is_ok(), "{held}");
    assert_eq!(post(address, LOCK, lock_body("r", "you")).await.body, HELD);
}

#[tokio::test]
async fn closing_the_connection_loses_the_lock() {
    let Some((workerd, _locks)) = serve() else { return };
    let address = workerd.address();
    let mut hold = Hold::ask(address, json!({"resourceId": "r", "ttl": "3s"})).await;
    hold.after_renewals("held").await;
    drop(hold);
    // workerd notices the end of the connection only when it writes to it.
    eventually("the lock is free", async || {
        post(address, LOCK, lock_body("r", "you")).await.body == ACQUIRED
    })
    .await;
}

#[tokio::test]
async fn resetting_the_connection_releases_the_lock_at_once() {
    let Some((workerd, _locks)) = serve() else { return };
    let address = workerd.address();
    // Longer than the test waits for the lock to be free.
    let body = json!({"resourceId": "r", "ttl": "1000s"}).to_string();
    let mut connection = TcpStream::connect(address).await.unwrap();
    let hold = request("POST", "/v1.0/leases/lockstore/hold", "", body.as_bytes());
    connection.write_all(&hold).await.unwrap();
    let mut read = String::new();
    while !read.contains(r#"{"held":"#) {
        let mut more = [0; 1024];
        let length = timeout(LONG, connection.read(&mut more)).await.expect("in time").unwrap();
        assert_ne!(length, 0, "{read}");
        read += str::from_utf8(&more[..length]).unwrap();
    }
    connection.set_zero_linger().unwrap();
    drop(connection);
    eventually("the lock is free", async || {
        post(address, LOCK, lock_body("r", "you")).await.body == ACQUIRED
    })
    .await;
}

#[tokio::test]
async fn a_lock_that_is_gone_ends_the_response() {
    let Some((workerd, _locks)) = serve() else { return };
    let address = workerd.address();
    let mut hold = Hold::ask(address, json!({"resourceId": "r", "ttl": "3s"})).await;
    let held = hold.after_renewals("held").await;
    assert_eq!(post(address, UNLOCK, lock_body("r", owner(&held))).await.body, RELEASED);
    let lost = json!({"cause": "GONE", "message": "the lock is gone", "validFor": "0s"});
    assert_eq!(hold.after_renewals("lost").await, lost);
    assert_eq!(hold.event().await, None);
}

#[tokio::test]
async fn a_lock_that_another_owner_took_ends_the_response() {
    let Some((workerd, _locks)) = serve() else { return };
    let address = workerd.address();
    for _ in 0..10 {
        let mut hold = Hold::ask(address, json!({"resourceId": "r", "ttl": "3s"})).await;
        let held = hold.after_renewals("held").await;
        assert_eq!(post(address, UNLOCK, lock_body("r", owner(&held))).await.body, RELEASED);
        assert_eq!(post(address, LOCK, lock_body("r", "you")).await.body, ACQUIRED);
        let lost = hold.after_renewals("lost").await;
        assert_eq!(post(address, UNLOCK, lock_body("r", "you")).await.body, RELEASED);
        // A renewal may come between the two calls.
        if lost["cause"] != "GONE" {
            assert_eq!(
                (&lost["cause"], &lost["validFor"]),
                (&json!("HELD_BY_OTHER"), &json!("0s"))
            );
            return;
        }
    }
    panic!("each renewal came between two calls");
}

#[tokio::test]
async fn a_hold_ends_when_it_lasted_as_long_as_it_may_and_leaves_time_to_stop() {
    let Some((workerd, _locks)) = serve() else { return };
    let address = workerd.address();
    let body = json!({"resourceId": "r", "ttl": "60s", "maxHold": "0.3s"});
    let mut hold = Hold::ask(address, body).await;
    hold.after_renewals("held").await;
    let lost = hold.after_renewals("lost").await;
    assert_eq!(lost["cause"], "MAX_HOLD");
    assert_ne!(lost["validFor"], "0s");
    assert_eq!(hold.event().await, None);
    assert_eq!(post(address, LOCK, lock_body("r", "you")).await.body, HELD);
}

#[tokio::test]
async fn a_lock_that_is_not_free_is_not_held() {
    let Some((workerd, _locks)) = serve() else { return };
    let address = workerd.address();
    assert_eq!(post(address, LOCK, lock_body("r", "you")).await.body, ACQUIRED);
    let mut hold = Hold::ask(address, json!({"resourceId": "r", "ttl": "60s"})).await;
    assert_eq!(hold.event().await, Some(json!({"notHeld": {}})));
    assert_eq!(hold.event().await, None);
}

#[tokio::test]
async fn a_hold_that_cannot_be_is_refused_as_an_acquire_is() {
    let Some((workerd, _locks)) = serve() else { return };
    let expected = "failed deserializing HTTP body: maxHold: expected seconds such as 30s or 0.25s";
    for (store, body, code, message) in [
        (
            "lockstore",
            r#"{"resourceId":"r"}"#,
            "ERR_MALFORMED_REQUEST",
            "ttl is not positive in lock store lockstore",
        ),
        (
            "other",
            r#"{"resourceId":"r","ttl":"9s","maxHold":"9s"}"#,
            "ERR_LOCK_STORE_NOT_FOUND",
            "lock store other not found",
        ),
        (
            "lockstore",
            r#"{"resourceId":"r","ttl":"9s","max_hold":"9"}"#,
            "ERR_MALFORMED_REQUEST",
            expected,
        ),
        (
            "lockstore",
            r#"{"resourceId":"r","ttl":"9s","maxHold":"2147483648s"}"#,
            "ERR_MALFORMED_REQUEST",
            "maxHold is above 2147483647 s in lock store lockstore",
        ),
    ] {
        let target = format!("/v1.0/leases/{store}/hold");
        let refused = post(workerd.address(), &target, body).await;
        assert_eq!((refused.status, refused.body), (400, error(code, message)), "{body}");
    }
}

//! Holds over HTTP and gRPC: a lock lasts as long as the response.

use std::{net::SocketAddr, time::Duration};

use holdfast::Resource;
use holdfast_proto::leases::{
    HoldEvent, HoldRequest,
    hold_event::{Event, Held, lost::Cause},
    leases_client::LeasesClient,
};
use holdfast_sidecar::{Sidecar, server::Limits};
use holdfast_tests::{
    LONG, STORE, eventually,
    grpc_client::channel,
    http_api::{ACQUIRED, HELD, LOCK, error},
    http_client::{lock_body, post},
};
use prost_types::Duration as ProtoDuration;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
    time::timeout,
};
use tonic::{Code, Streaming};

use crate::server::{Served, grpc, http, http_within, in_memory};

const R: Resource<'static> = Resource { store: STORE, id: "r" };
const MINUTE: &str = r#"{"resourceId":"r","ttl":"60s"}"#;
const MINUTE_AND_WAIT: &str = r#"{"resourceId":"r","ttl":"60s","wait":"60s"}"#;

/// A hold over HTTP/1. Dropping it closes its connection.
pub struct Hold(pub BufReader<TcpStream>);

impl Hold {
    pub async fn ask(address: SocketAddr, body: &str) -> Self {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let request = format!(
            "POST /v1.0/leases/lockstore/hold HTTP/1.1\r\nHost: l\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        Self(BufReader::new(stream))
    }

    /// The next event, after the head of the response and the lengths of chunks; `None` at the end.
    pub async fn event(&mut self) -> Option<Value> {
        loop {
            let mut line = String::new();
            timeout(LONG, self.0.read_line(&mut line)).await.expect("in time").unwrap();
            match line.trim() {
                event if event.starts_with('{') => {
                    return Some(serde_json::from_str(event).unwrap());
                }
                "0" => return None,
                _ => assert!(line.ends_with('\n'), "cut off: {line}"),
            }
        }
    }
}

async fn held(sidecar: &Sidecar) -> Option<String> {
    sidecar.locks().inspect(R).await.unwrap().map(|holding| holding.owner)
}

#[tokio::test]
async fn a_lock_is_held_as_long_as_the_connection() {
    let server = http(in_memory()).await;
    let mut first = Hold::ask(server.address, MINUTE).await;
    let event = first.event().await.unwrap();
    let owner = event["held"]["lockOwner"].as_str().unwrap();
    assert!(event["held"]["validFor"].as_str().unwrap().ends_with('s'), "{event}");
    assert_eq!(event["held"].get("fencingToken"), None);
    assert_eq!(held(&server.sidecar).await.as_deref(), Some(owner));
    assert_eq!(post(server.address, LOCK, lock_body("r", "o")).await.body, HELD);

    let mut second = Hold::ask(server.address, MINUTE_AND_WAIT).await;
    assert!(timeout(Duration::from_millis(50), second.event()).await.is_err());
    drop(first);
    assert!(second.event().await.unwrap()["held"]["lockOwner"].is_string());
    drop(second);
    eventually("it is free", async || held(&server.sidecar).await.is_none()).await;
    assert_eq!(post(server.address, LOCK, lock_body("r", "o")).await.body, ACQUIRED);
}

#[tokio::test]
async fn a_caller_that_leaves_while_it_waits_gets_no_lock() {
    let server = http(in_memory()).await;
    assert_eq!(post(server.address, LOCK, lock_body("r", "o")).await.body, ACQUIRED);
    let mut waiting = Hold::ask(server.address, MINUTE_AND_WAIT).await;
    assert!(timeout(Duration::from_millis(50), waiting.event()).await.is_err());
    drop(waiting);
    let mut next = Hold::ask(server.address, MINUTE_AND_WAIT).await;
    post(server.address, "/v1.0-alpha1/unlock/lockstore", lock_body("r", "o")).await;
    assert!(next.event().await.unwrap()["held"].is_object());
}

#[tokio::test]
async fn a_hold_is_renewed_numbered_and_reported_as_lost() {
    let server = http(in_memory()).await;
    let body = r#"{"resourceId":"r","ttl":"0.3s","fenced":true,"lockOwner":"me"}"#;
    let mut hold = Hold::ask(server.address, body).await;
    let event = hold.event().await.unwrap();
    assert_eq!(event["held"]["lockOwner"], "me");
    assert!(event["held"]["fencingToken"].as_str().unwrap().parse::<u64>().unwrap() > 0);
    for _ in 0..3 {
        let event = hold.event().await.unwrap();
        assert!(event["renewed"]["validFor"].is_string(), "{event}");
    }
    assert_eq!(server.sidecar.locks().force_release(R).await, Ok(Some("me".to_owned())));
    loop {
        let event = hold.event().await.unwrap();
        if event.get("renewed").is_none() {
            let lost = json!({"cause": "GONE", "message": "the lock is gone", "validFor": "0s"});
            assert_eq!(event, json!({ "lost": lost }));
            break;
        }
    }
    assert_eq!(hold.event().await, None);
}

#[tokio::test]
async fn a_hold_ends_at_its_given_limit_and_leaves_time_to_stop() {
    let server = http(in_memory()).await;
    let body = r#"{"resourceId":"r","ttl":"60s","maxHold":"0.05s"}"#;
    let mut hold = Hold::ask(server.address, body).await;
    let owner = hold.event().await.unwrap()["held"]["lockOwner"].as_str().unwrap().to_owned();
    let event = hold.event().await.unwrap();
    assert_eq!(event["lost"]["cause"], "MAX_HOLD");
    assert_ne!(event["lost"]["validFor"], "0s");
    assert_eq!(hold.event().await, None);
    drop(hold);
    // The lock expires by itself.
    assert_eq!(held(&server.sidecar).await, Some(owner));
}

#[tokio::test]
async fn a_lock_that_is_not_free_in_time_is_not_held() {
    let server = http(in_memory()).await;
    assert_eq!(post(server.address, LOCK, lock_body("r", "o")).await.body, ACQUIRED);
    let mut hold = Hold::ask(server.address, MINUTE).await;
    assert_eq!(hold.event().await, Some(json!({"notHeld": {}})));
    assert_eq!(hold.event().await, None);
}

#[tokio::test]
async fn wrong_requests_are_refused_as_those_of_an_acquire() {
    let server = http(in_memory()).await;
    let malformed = "ERR_MALFORMED_REQUEST";
    for (store, body, status, code, message) in [
        (
            "lockstore",
            r#"{"resourceId":"r"}"#,
            400,
            malformed,
            "ttl is not positive in lock store lockstore",
        ),
        ("lockstore", "", 400, malformed, "ttl is not positive in lock store lockstore"),
        (
            "lockstore",
            r#"{"ttl":"1s"}"#,
            400,
            malformed,
            "ResourceId is empty in lock store lockstore",
        ),
        ("x", MINUTE, 400, "ERR_LOCK_STORE_NOT_FOUND", "lock store x not found"),
        (
            "lockstore",
            r#"{"resourceId":"a||b","ttl":"1s"}"#,
            500,
            "ERR_LEASE_ACQUIRE",
            "failed to acquire lease: input key/keyPrefix 'a||b' can't contain '||'",
        ),
        (
            "lockstore",
            r#"{"resourceId":"r","ttl":"1s","maxhold":"1s"}"#,
            400,
            malformed,
            "failed deserializing HTTP body: unknown field 'maxhold' at line 1 column 38",
        ),
    ] {
        let refused = post(server.address, &format!("/v1.0/leases/{store}/hold"), body).await;
        assert_eq!((refused.status, &*refused.body), (status, &*error(code, message)), "{body}");
    }
    // `maxHold` is a field of holds alone.
    let body = r#"{"resourceId":"r","ttl":"1s","maxHold":"1s"}"#;
    let refused = post(server.address, "/v1.0/leases/lockstore/acquire", body).await;
    assert_eq!(refused.status, 400, "{}", refused.body);
}

#[tokio::test]
async fn a_hold_is_no_idle_connection() {
    let limits =
        Limits::default().idle(Duration::from_millis(100)).head(Duration::from_millis(100));
    let server = http_within(in_memory(), limits).await;
    let mut hold = Hold::ask(server.address, r#"{"resourceId":"r","ttl":"1s"}"#).await;
    assert!(hold.event().await.unwrap()["held"].is_object());
    assert!(hold.event().await.unwrap()["renewed"].is_object());
}

async fn begin_to_end(server: &Served) {
    server.ending.cancel();
    server.sidecar.ending().cancel();
    eventually("it ends", async || server.sidecar.readiness().is_ending()).await;
}

#[tokio::test]
async fn holders_are_notified_of_the_shutdown_and_have_time_to_stop() {
    let server = http(in_memory()).await;
    let mut hold = Hold::ask(server.address, MINUTE).await;
    assert!(hold.event().await.unwrap()["held"].is_object());
    begin_to_end(&server).await;
    assert!(hold.event().await.unwrap()["ending"]["validFor"].is_string());
    assert!(!server.serving.is_finished());
    assert!(held(&server.sidecar).await.is_some());
    drop(hold);
    timeout(LONG, server.serving).await.expect("in time").unwrap();
    assert_eq!(held(&server.sidecar).await, None);
}

/// A hold over gRPC.
async fn stream(address: SocketAddr, request: HoldRequest) -> Streaming<HoldEvent> {
    LeasesClient::new(channel(address).await).hold(request).await.unwrap().into_inner()
}

fn request(wait: i64) -> HoldRequest {
    let seconds = |seconds| Some(ProtoDuration { seconds, nanos: 0 });
    HoldRequest {
        store_name: STORE.to_owned(),
        resource_id: "r".to_owned(),
        ttl: seconds(60),
        wait: seconds(wait),
        ..HoldRequest::default()
    }
}

async fn next(stream: &mut Streaming<HoldEvent>) -> Option<Event> {
    let message = timeout(LONG, stream.message()).await.expect("in time").unwrap();
    message.map(|message| message.event.expect("an event"))
}

#[tokio::test]
async fn over_grpc_a_lock_is_held_as_long_as_the_call() {
    let server = grpc(in_memory()).await;
    let fenced = HoldRequest { fenced: true, ..request(0) };
    let mut first = stream(server.address, fenced).await;
    let Some(Event::Held(Held { lock_owner, fencing_token: Some(_), valid_for: Some(time) })) =
        next(&mut first).await
    else {
        panic!("not held")
    };
    assert!((50..=60).contains(&time.seconds), "{time:?}");
    assert_eq!(held(&server.sidecar).await, Some(lock_owner));

    let mut none = stream(server.address, request(0)).await;
    assert!(matches!(next(&mut none).await, Some(Event::NotHeld(_))));
    assert_eq!(next(&mut none).await, None);

    let waiting = tokio::spawn(stream(server.address, request(60)));
    eventually("it waits", async || !waiting.is_finished()).await;
    drop(first);
    let mut second = waiting.await.unwrap();
    assert!(matches!(next(&mut second).await, Some(Event::Held(_))));

    server.sidecar.locks().force_release(R).await.unwrap();
    let Some(Event::Lost(lost)) = next(&mut second).await else { panic!("not lost") };
    assert_eq!((lost.cause(), &*lost.message), (Cause::Gone, "the lock is gone"));
    assert_eq!(next(&mut second).await, None);
}

#[tokio::test]
async fn over_grpc_wrong_requests_have_a_status() {
    let server = grpc(in_memory()).await;
    let mut client = LeasesClient::new(channel(server.address).await);
    let refused = client.hold(HoldRequest { store_name: "x".to_owned(), ..request(0) }).await;
    assert_eq!(refused.unwrap_err().code(), Code::InvalidArgument);
    let longer = HoldRequest {
        max_hold: Some(ProtoDuration { seconds: 3_000_000_000, nanos: 0 }),
        ..request(0)
    };
    for (request, message) in [
        (HoldRequest { ttl: None, ..request(0) }, "ttl is not positive in lock store lockstore"),
        (
            HoldRequest { ttl: None, ..longer.clone() },
            "ttl is not positive in lock store lockstore",
        ),
        (longer, "maxHold is above 2147483647 s in lock store lockstore"),
        (
            HoldRequest { max_hold: Some(ProtoDuration { seconds: 0, nanos: 0 }), ..request(0) },
            "maxHold is not positive in lock store lockstore",
        ),
    ] {
        let refused = client.hold(request).await.unwrap_err();
        assert_eq!((refused.code(), refused.message()), (Code::InvalidArgument, message));
    }
    // A deadline ends the call, and the hold.
    let mut request = tonic::Request::new(request(0));
    request.set_timeout(Duration::from_secs(60));
    let mut stream = client.hold(request).await.unwrap().into_inner();
    assert!(matches!(next(&mut stream).await, Some(Event::Held(_))));
    drop(stream);
    eventually("it is free", async || held(&server.sidecar).await.is_none()).await;
}

#[tokio::test]
async fn the_number_of_holds_that_keep_connections_is_bounded() {
    let server = http(in_memory().max_holds(2)).await;
    let mut first = Hold::ask(server.address, MINUTE).await;
    assert!(first.event().await.unwrap()["held"].is_object());
    let mut waiting = Hold::ask(server.address, MINUTE_AND_WAIT).await;
    assert!(timeout(Duration::from_millis(50), waiting.event()).await.is_err());
    let refused = post(server.address, "/v1.0/leases/lockstore/hold", MINUTE).await;
    let message = "too many calls: 2 hold locks by their connections";
    assert_eq!(refused.body, error("ERR_LOCK_OVERLOADED", message));
    assert_eq!(refused.status, 503);
    drop(first);
    assert!(waiting.event().await.unwrap()["held"].is_object());
    let other = r#"{"resourceId":"other","ttl":"60s"}"#;
    let mut next = Hold::ask(server.address, other).await;
    assert!(next.event().await.unwrap()["held"].is_object());
}

#[tokio::test]
async fn a_longest_hold_beyond_all_bounds_is_refused_after_the_checks_of_an_acquire() {
    let server = http(in_memory()).await;
    let malformed = "ERR_MALFORMED_REQUEST";
    for (store, body, status, code, message) in [
        ("x", r#"{"ttl":"0s"}"#, 400, malformed, "ttl is not positive in lock store x"),
        ("x", r#"{"ttl":"60s"}"#, 400, malformed, "ResourceId is empty in lock store x"),
        (
            "x",
            r#"{"resourceId":"r","ttl":"60s"}"#,
            400,
            "ERR_LOCK_STORE_NOT_FOUND",
            "lock store x not found",
        ),
        (
            "lockstore",
            r#"{"resourceId":"a||b","ttl":"60s"}"#,
            500,
            "ERR_LEASE_ACQUIRE",
            "failed to acquire lease: input key/keyPrefix 'a||b' can't contain '||'",
        ),
        (
            "lockstore",
            r#"{"resourceId":"r","ttl":"3000000000s"}"#,
            400,
            malformed,
            "ttl is above 2147483647 s in lock store lockstore",
        ),
        (
            "lockstore",
            r#"{"resourceId":"r","ttl":"60s","wait":"3000000000s"}"#,
            400,
            malformed,
            "wait is above 2147483647 s in lock store lockstore",
        ),
        (
            "lockstore",
            r#"{"resourceId":"r","ttl":"60s"}"#,
            400,
            malformed,
            "maxHold is above 2147483647 s in lock store lockstore",
        ),
    ] {
        let path = format!("/v1.0/leases/{store}/hold");
        let body = format!(r#"{},"maxHold":"2147483648s"}}"#, body.strip_suffix('}').unwrap());
        let refused = post(server.address, &path, &body).await;
        assert_eq!((refused.status, &*refused.body), (status, &*error(code, message)), "{body}");
    }
    let body = r#"{"resourceId":"r","ttl":"60s","maxHold":"0s"}"#;
    let refused = post(server.address, "/v1.0/leases/lockstore/hold", body).await;
    let message = "maxHold is not positive in lock store lockstore";
    assert_eq!((refused.status, refused.body), (400, error(malformed, message)));
    let name = "s".repeat(20_000);
    let body = r#"{"resourceId":"r","ttl":"60s","maxHold":"2147483648s"}"#;
    let refused = post(server.address, &format!("/v1.0/leases/{name}/hold"), body).await;
    let message = format!("lock store {} not found", &name[..4_096]);
    assert_eq!(refused.body, error("ERR_LOCK_STORE_NOT_FOUND", &message));
}

//! Leases over HTTP and gRPC.

use std::{net::SocketAddr, sync::Arc};

use holdfast::{BuildError, Locks, store::memory::MemoryStore};
use holdfast_dapr_api::FENCING_TOKEN_HEADER;
use holdfast_proto::{
    leases::{
        AcquireRequest, AcquireResponse, ExtendRequest, HoldRequest, InspectRequest,
        InspectResponse, ReleaseRequest, extend_response, leases_client::LeasesClient,
        release_response,
    },
    runtime::{TryLockRequest, dapr_client::DaprClient},
};
use holdfast_sidecar::Sidecar;
use holdfast_tests::{
    STORE,
    grpc_client::channel,
    http_api::{ACQUIRED, HELD, LOCK, error},
    http_client::{Response, lock_body, post},
};
use prost_types::Duration as ProtoDuration;
use serde_json::Value;
use tonic::Code;

use crate::server::{grpc, http, in_memory};

async fn call(address: SocketAddr, verb: &str, body: &str) -> Response {
    post(address, &format!("/v1.0/leases/lockstore/{verb}"), body).await
}

/// The reply to a call that succeeds.
async fn reply(address: SocketAddr, verb: &str, body: &str) -> Value {
    let response = call(address, verb, body).await;
    assert_eq!(response.status, 200, "{}", response.body);
    serde_json::from_str(&response.body).unwrap()
}

/// A time in a reply, in seconds.
fn seconds(time: &Value) -> f64 {
    time.as_str().and_then(|time| time.strip_suffix('s')).unwrap().parse().unwrap()
}

#[tokio::test]
async fn a_lease_is_taken_extended_looked_at_and_released() {
    let server = http(in_memory()).await;
    let lease = reply(server.address, "acquire", r#"{"resourceId":"r","ttl":"30s"}"#).await;
    let owner = lease["lockOwner"].as_str().unwrap();
    assert_eq!((&lease["success"], lease.get("fencingToken")), (&Value::Bool(true), None));
    assert!((20.0..=30.0).contains(&seconds(&lease["validFor"])), "{lease}");

    assert_eq!(post(server.address, LOCK, lock_body("r", "o")).await.body, HELD);
    let again = call(server.address, "acquire", r#"{"resource_id":"r","ttl":"30s"}"#).await;
    assert_eq!((again.status, &*again.body), (200, HELD));

    let extend = format!(r#"{{"resourceId":"r","lockOwner":"{owner}","ttl":"60s"}}"#);
    let extended = reply(server.address, "extend", &extend).await;
    assert_eq!(extended["status"], 0);
    assert!((50.0..=60.0).contains(&seconds(&extended["validFor"])), "{extended}");
    let shorten =
        format!(r#"{{"resourceId":"r","lockOwner":"{owner}","ttl":"5s","mayShorten":true}}"#);
    let extended = reply(server.address, "extend", &shorten).await;
    assert!((1.0..=5.0).contains(&seconds(&extended["validFor"])), "{extended}");
    let other = call(server.address, "extend", r#"{"resourceId":"r","lockOwner":"o","ttl":"60s"}"#);
    assert_eq!(other.await.body, r#"{"status":2}"#);

    let holding = reply(server.address, "inspect", r#"{"resourceId":"r"}"#).await;
    assert_eq!((&holding["held"], &holding["lockOwner"]), (&true.into(), &owner.into()));
    assert!((0.5..=5.0).contains(&seconds(&holding["timeLeft"])), "{holding}");

    let release = format!(r#"{{"resourceId":"r","lockOwner":"{owner}"}}"#);
    assert_eq!(call(server.address, "release", &release).await.body, r#"{"status":0}"#);
    assert_eq!(call(server.address, "release", &release).await.body, r#"{"status":1}"#);
    let extended = call(server.address, "extend", &extend).await;
    assert_eq!(extended.body, r#"{"status":1}"#);
    let holding = call(server.address, "inspect", r#"{"resourceId":"r"}"#).await;
    assert_eq!(holding.body, r#"{"held":false}"#);
    assert_eq!(post(server.address, LOCK, lock_body("r", "o")).await.body, ACQUIRED);
}

#[tokio::test]
async fn numbers_are_strings_and_grow() {
    let server = http(in_memory()).await;
    let mut last = 0;
    for _ in 0..3 {
        let body = r#"{"resourceId":"r","lockOwner":"me","ttl":"30s","fenced":true}"#;
        let lease = reply(server.address, "acquire", body).await;
        let number: u64 = lease["fencingToken"].as_str().unwrap().parse().unwrap();
        assert!(number > last, "{number} after {last}");
        last = number;
        let holding = reply(server.address, "inspect", r#"{"resourceId":"r"}"#).await;
        assert_eq!(holding["fencingToken"], lease["fencingToken"]);
        reply(server.address, "release", r#"{"resourceId":"r","lockOwner":"me"}"#).await;
    }
}

/// A sidecar whose store gives every grant a fencing token.
fn numbering() -> Sidecar {
    let builder = Locks::builder().store(STORE, Arc::new(MemoryStore::new())).fencing(STORE);
    Sidecar::new(builder.build().unwrap(), "", Vec::new(), None)
}

#[tokio::test]
async fn a_store_that_numbers_every_grant_says_the_number_beside_daprs_answer() {
    let server = http(numbering()).await;
    let taken = post(server.address, LOCK, lock_body("r", "o")).await;
    let number: u64 = taken.header(FENCING_TOKEN_HEADER).unwrap().parse().unwrap();
    assert!(number > 0);
    assert_eq!(taken.body, ACQUIRED);
    let held = post(server.address, LOCK, lock_body("r", "o")).await;
    assert_eq!((&*held.body, held.header(FENCING_TOKEN_HEADER)), (HELD, None));

    let server = grpc(numbering()).await;
    let channel = channel(server.address).await;
    let request = TryLockRequest {
        store_name: STORE.to_owned(),
        resource_id: "r".to_owned(),
        lock_owner: "o".to_owned(),
        expiry_in_seconds: 60,
    };
    let numbers = async || {
        let response = DaprClient::new(channel.clone()).try_lock_alpha1(request.clone()).await;
        let response = response.unwrap();
        let number = response.metadata().get(FENCING_TOKEN_HEADER).cloned();
        (response.into_inner().success, number.map(|number| number.to_str().unwrap().to_owned()))
    };
    let (taken, number) = numbers().await;
    assert!(taken && number.unwrap().parse::<u64>().unwrap() > 0);
    assert_eq!(numbers().await, (false, None));

    let unknown = Locks::builder().fencing("x").build().unwrap_err();
    assert_eq!(unknown.to_string(), BuildError::StoreNotFound("x".to_owned()).to_string());
}

#[tokio::test]
async fn a_caller_who_waits_gets_the_lock_when_it_is_free() {
    let server = http(in_memory()).await;
    let address = server.address;
    assert_eq!(post(address, LOCK, lock_body("r", "first")).await.body, ACQUIRED);
    let wait = r#"{"resourceId":"r","lockOwner":"second","ttl":"30s","wait":"60s"}"#;
    let waiting = tokio::spawn(async move { reply(address, "acquire", wait).await });
    let short = r#"{"resourceId":"r","ttl":"30s","wait":"0.05s"}"#;
    assert_eq!(call(address, "acquire", short).await.body, HELD);
    let release = r#"{"resourceId":"r","lockOwner":"first"}"#;
    assert_eq!(call(address, "release", release).await.body, r#"{"status":0}"#);
    assert_eq!(waiting.await.unwrap()["lockOwner"], "second");
}

#[tokio::test]
async fn wrong_requests_are_refused_in_daprs_form() {
    let server = http(in_memory()).await;
    let malformed = |cause: &str| {
        error("ERR_MALFORMED_REQUEST", &format!("failed deserializing HTTP body: {cause}"))
    };
    let expected = "expected seconds such as 30s or 0.25s";
    for (verb, body, status, reply) in [
        (
            "acquire",
            r#"{"resourceId":"r"}"#,
            400,
            error("ERR_MALFORMED_REQUEST", "ttl is not positive in lock store lockstore"),
        ),
        (
            "acquire",
            r#"{"resourceId":"r","ttl":"30"}"#,
            400,
            malformed(&format!("field 'ttl': invalid value: 30, {expected} at line 1 column 29")),
        ),
        (
            "acquire",
            r#"{"resourceId":"r","ttl":30}"#,
            400,
            malformed("field 'ttl': invalid type: a number, expected a string at line 1 column 26"),
        ),
        (
            "acquire",
            r#"{"resourceId":"r","ttl":"1s","fenced":"yes"}"#,
            400,
            malformed(
                r#"field 'fenced': invalid value: \"yes\", expected a boolean at line 1 column 44"#,
            ),
        ),
        (
            "acquire",
            r#"{"resourceId":"r","ttl":"9999999999s"}"#,
            400,
            error("ERR_MALFORMED_REQUEST", "ttl is above 2147483647 s in lock store lockstore"),
        ),
        (
            "acquire",
            r#"{"resourceId":"r","ttl":"1s","wiat":"3s"}"#,
            400,
            malformed("unknown field 'wiat' at line 1 column 35"),
        ),
        (
            "inspect",
            r#"{"resourceId":"r","ttl":"1s"}"#,
            400,
            malformed("unknown field 'ttl' at line 1 column 23"),
        ),
        (
            "extend",
            r#"{"resourceId":"r","ttl":"1s"}"#,
            400,
            error("ERR_MALFORMED_REQUEST", "LockOwner is empty in lock store lockstore"),
        ),
        (
            "inspect",
            r#"{"resourceId":"a||b"}"#,
            500,
            error(
                "ERR_LEASE_INSPECT",
                "failed to inspect lock: input key/keyPrefix 'a||b' can't contain '||'",
            ),
        ),
    ] {
        let response = call(server.address, verb, body).await;
        assert_eq!((response.status, response.body), (status, reply), "{verb} {body}");
    }
    let unknown = post(server.address, "/v1.0/leases/x/inspect", r#"{"resourceId":"r"}"#).await;
    let expected = error("ERR_LOCK_STORE_NOT_FOUND", "lock store x not found");
    assert_eq!((unknown.status, unknown.body), (400, expected));
    let long = format!(r#"{{"resourceId":"{}","ttl":"1s"}}"#, "r".repeat(9 << 10));
    let refused = call(server.address, "acquire", &long).await;
    let expected = error("ERR_BODY_READ", "failed to read request body: stream too large");
    assert_eq!((refused.status, refused.body), (400, expected));
}

#[tokio::test]
async fn leases_over_grpc_are_those_over_http() {
    let server = grpc(in_memory()).await;
    let mut client = LeasesClient::new(channel(server.address).await);
    let seconds = |seconds| Some(ProtoDuration { seconds, nanos: 0 });
    let acquire = |wait| AcquireRequest {
        store_name: STORE.to_owned(),
        resource_id: "r".to_owned(),
        ttl: seconds(60),
        wait,
        fenced: true,
        ..AcquireRequest::default()
    };
    let lease = client.acquire(acquire(None)).await.unwrap().into_inner();
    assert!(lease.success && lease.fencing_token > Some(0), "{lease:?}");
    assert!((30..=60).contains(&lease.valid_for.unwrap().seconds), "{lease:?}");
    let short = Some(ProtoDuration { seconds: 0, nanos: 50_000_000 });
    let held = client.acquire(acquire(short)).await.unwrap().into_inner();
    assert_eq!(held, AcquireResponse::default());

    let inspect = InspectRequest { store_name: STORE.to_owned(), resource_id: "r".to_owned() };
    let holding = client.inspect(inspect.clone()).await.unwrap().into_inner();
    assert_eq!((holding.held, &holding.lock_owner), (true, &lease.lock_owner));
    assert_eq!(holding.fencing_token, lease.fencing_token);

    let extend = |owner: &str| ExtendRequest {
        store_name: STORE.to_owned(),
        resource_id: "r".to_owned(),
        lock_owner: owner.to_owned(),
        ttl: seconds(120),
        may_shorten: false,
    };
    let extended = client.extend(extend(&lease.lock_owner)).await.unwrap().into_inner();
    assert!((90..=120).contains(&extended.valid_for.unwrap().seconds), "{extended:?}");
    let other = client.extend(extend("other")).await.unwrap().into_inner();
    assert_eq!(other.status(), extend_response::Status::LockBelongsToOthers);

    let release = ReleaseRequest {
        store_name: STORE.to_owned(),
        resource_id: "r".to_owned(),
        lock_owner: lease.lock_owner.clone(),
    };
    let released = client.release(release.clone()).await.unwrap().into_inner();
    assert_eq!(released.status(), release_response::Status::Success);
    let again = client.release(release).await.unwrap().into_inner();
    assert_eq!(again.status(), release_response::Status::LockDoesNotExist);
    assert_eq!(client.inspect(inspect).await.unwrap().into_inner(), InspectResponse::default());

    let refused = client.acquire(AcquireRequest { ttl: None, ..acquire(None) }).await.unwrap_err();
    let expected = (Code::InvalidArgument, "ttl is not positive in lock store lockstore");
    assert_eq!((refused.code(), refused.message()), expected);
    let long = AcquireRequest { resource_id: "r".repeat(9 << 10), ..acquire(None) };
    let refused = client.acquire(long).await.unwrap_err();
    assert_eq!(refused.code(), Code::ResourceExhausted, "{refused}");
    assert!(refused.message().ends_with("vs. 8192)"), "{refused}");
}

#[tokio::test]
async fn invalid_times_over_grpc_are_refused_by_name() {
    let server = grpc(in_memory()).await;
    let mut client = LeasesClient::new(channel(server.address).await);
    let time = |seconds, nanos| Some(ProtoDuration { seconds, nanos });
    let minute = time(60, 0);
    let (store, id, owner) = (STORE.to_owned(), "r".to_owned(), "o".to_owned());
    for (wrong, what) in [
        (time(-1, 0), "is negative"),
        (time(1, -1), "is negative"),
        (time(i64::MIN, i32::MIN), "is negative"),
        (time(1, 1_000_000_000), "has more than 999999999 nanos"),
        (time(0, 2_000_000_000), "has more than 999999999 nanos"),
    ] {
        let acquire = |ttl, wait| AcquireRequest {
            store_name: store.clone(),
            resource_id: id.clone(),
            lock_owner: owner.clone(),
            ttl,
            wait,
            fenced: false,
        };
        let extend = ExtendRequest {
            store_name: store.clone(),
            resource_id: id.clone(),
            lock_owner: owner.clone(),
            ttl: wrong,
            may_shorten: false,
        };
        let hold = HoldRequest {
            store_name: store.clone(),
            resource_id: id.clone(),
            ttl: minute,
            max_hold: wrong,
            ..HoldRequest::default()
        };
        for (field, refused) in [
            ("ttl", client.acquire(acquire(wrong, None)).await.map(drop)),
            ("wait", client.acquire(acquire(minute, wrong)).await.map(drop)),
            ("ttl", client.extend(extend).await.map(drop)),
            ("max_hold", client.hold(hold).await.map(drop)),
        ] {
            let refused = refused.unwrap_err();
            assert_eq!(refused.code(), Code::InvalidArgument, "{field} {wrong:?}");
            assert_eq!(refused.message(), format!("{field} {what}"), "{wrong:?}");
        }
    }
    let inspect = InspectRequest { store_name: store, resource_id: id };
    assert!(!client.inspect(inspect).await.unwrap().into_inner().held);
}

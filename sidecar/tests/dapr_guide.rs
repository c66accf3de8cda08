//! What Dapr's guide to locks shows, with the binary and a real Redis.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::{
    fs,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use holdfast_tests::{
    eventually,
    holdfast::Holdfast,
    redis_server::{RedisServer, temporary_dir},
};
use support::grpc::{Client, TRY_LOCK, raw, said};
use tempfile::TempDir;
use tonic::Code;

const TAKEN: &str = r#"{"success":true}"#;
const HELD: &str = r#"{"success":false}"#;
const FREED: &str = r#"{"status":0}"#;
const MISSING: &str = r#"{"status":1}"#;
const ANOTHERS: &str = r#"{"status":2}"#;

/// A folder with one component file: `lockstore` in Redis and `memory` in memory.
fn resources(redis: &RedisServer, more: &str) -> TempDir {
    let folder = temporary_dir();
    let address = redis.address();
    let file = format!(
        "apiVersion: dapr.io/v1alpha1
kind: Component
metadata:
  name: lockstore
spec:
  type: lock.redis
  version: v1
  metadata:
  - name: redisHost
    value: {address}
{more}
---
apiVersion: dapr.io/v1alpha1
kind: Component
metadata:
  name: memory
spec:
  type: lock.in-memory
"
    );
    fs::write(folder.path().join("lockstore.yaml"), file).unwrap();
    folder
}

fn serve(app_id: &str, resources: &TempDir) -> Holdfast {
    let folder = resources.path().to_str().unwrap();
    let binary = Path::new(env!("CARGO_BIN_EXE_holdfast"));
    Holdfast::serve(binary, &["--app-id", app_id, "--resources-path", folder])
}

#[tokio::test]
async fn the_guides_component_and_calls() {
    let redis = RedisServer::start_with_password("secret");
    let holdfast =
        serve("app1", &resources(&redis, "  - name: redisPassword\n    value: \"secret\""));
    let (file, owner) = ("my_file_name", "random_id_abc123");

    assert_eq!(holdfast.try_lock("lockstore", file, owner, 60).await, TAKEN);
    assert_eq!(holdfast.try_lock("lockstore", file, owner, 60).await, HELD);
    let value: String = redis.run(&["GET", "lock||app1||my_file_name"]);
    assert_eq!(value, owner);
    let left: u64 = redis.run(&["PTTL", "lock||app1||my_file_name"]);
    assert!((1..=60_000).contains(&left), "{left}");

    assert_eq!(holdfast.unlock("lockstore", file, "somebody").await, ANOTHERS);
    assert_eq!(holdfast.unlock("lockstore", file, owner).await, FREED);
    assert_eq!(holdfast.unlock("lockstore", file, owner).await, MISSING);

    redis.run::<()>(&["SET", "lock||app1||r2", "other", "EX", "60", "NX"]);
    assert_eq!(holdfast.try_lock("lockstore", "r2", owner, 60).await, HELD);
    assert_eq!(holdfast.unlock("lockstore", "r2", owner).await, ANOTHERS);
    assert_eq!(holdfast.unlock("lockstore", "r2", "other").await, FREED);
}

#[tokio::test]
async fn instances_of_an_application_contend_and_take_turns() {
    let redis = RedisServer::start();
    let resources = resources(&redis, "");
    let (one, two) = (serve("app1", &resources), serve("app1", &resources));

    assert_eq!(one.try_lock("lockstore", "r", "one", 60).await, TAKEN);
    assert_eq!(two.try_lock("lockstore", "r", "two", 60).await, HELD);
    assert_eq!(two.unlock("lockstore", "r", "two").await, ANOTHERS);
    assert_eq!(one.unlock("lockstore", "r", "one").await, FREED);
    assert_eq!(two.try_lock("lockstore", "r", "two", 60).await, TAKEN);
    assert_eq!(one.try_lock("lockstore", "r", "one", 60).await, HELD);
}

#[tokio::test]
async fn applications_do_not_contend() {
    let redis = RedisServer::start();
    let resources = resources(&redis, "");
    let (one, two) = (serve("app1", &resources), serve("app2", &resources));

    assert_eq!(one.try_lock("lockstore", "r", "same", 60).await, TAKEN);
    assert_eq!(two.try_lock("lockstore", "r", "same", 60).await, TAKEN);
    assert_eq!(one.unlock("lockstore", "r", "same").await, FREED);
    assert_eq!(two.try_lock("lockstore", "r", "same", 60).await, HELD);
}

#[tokio::test]
async fn a_lock_that_nobody_frees_runs_out_and_not_before() {
    let redis = RedisServer::start();
    let holdfast = serve("app1", &resources(&redis, ""));
    for store in ["lockstore", "memory"] {
        let started = Instant::now();
        assert_eq!(holdfast.try_lock(store, "r", "one", 1).await, TAKEN);
        eventually("the lock runs out", async || {
            holdfast.try_lock(store, "r", "two", 60).await == TAKEN
        })
        .await;
        assert!(started.elapsed() >= Duration::from_secs(1), "{store}");
        assert_eq!(holdfast.unlock(store, "r", "one").await, ANOTHERS);
    }
}

#[tokio::test]
async fn the_errors_word_for_word_on_both_stores() {
    let redis = RedisServer::start();
    let holdfast = serve("app1", &resources(&redis, ""));
    for store in ["lockstore", "memory"] {
        let malformed = |message: String| {
            (400, format!(r#"{{"errorCode":"ERR_MALFORMED_REQUEST","message":"{message}"}}"#))
        };
        let rows = [
            ("lock", r#"{"lockOwner":"o","expiryInSeconds":1}"#, malformed(format!("ResourceId is empty in lock store {store}"))),
            ("lock", r#"{"resourceId":"r","expiryInSeconds":1}"#, malformed(format!("LockOwner is empty in lock store {store}"))),
            ("lock", r#"{"resourceId":"r","lockOwner":"o"}"#, malformed(format!("ExpiryInSeconds is not positive in lock store {store}"))),
            ("lock", r#"{"resourceId":"r","lockOwner":"o","expiryInSeconds":-1}"#, malformed(format!("ExpiryInSeconds is not positive in lock store {store}"))),
            ("lock", "", malformed(format!("ExpiryInSeconds is not positive in lock store {store}"))),
            ("unlock", "", malformed(format!("ResourceId is empty in lock store {store}"))),
            ("unlock", r#"{"resourceId":"r"}"#, malformed(format!("LockOwner is empty in lock store {store}"))),
            (
                "lock",
                r#"{"resourceId":"a||b","lockOwner":"o","expiryInSeconds":1}"#,
                (500, r#"{"errorCode":"ERR_TRY_LOCK","message":"failed to try acquiring lock: input key/keyPrefix 'a||b' can't contain '||'"}"#.to_owned()),
            ),
            (
                "unlock",
                r#"{"resourceId":"a||b","lockOwner":"o"}"#,
                (500, r#"{"errorCode":"ERR_UNLOCK","message":"failed to release lock: input key/keyPrefix 'a||b' can't contain '||'"}"#.to_owned()),
            ),
        ];
        for (call, body, expected) in rows {
            let reply = holdfast.post(&format!("/v1.0-alpha1/{call}/{store}"), body).await;
            assert_eq!(reply, expected, "{call} {body}");
        }
        let (status, body) = holdfast.post(&format!("/v1.0-alpha1/lock/{store}"), "{").await;
        assert_eq!(status, 400);
        assert!(body.starts_with(r#"{"errorCode":"ERR_MALFORMED_REQUEST","message":"failed deserializing HTTP body: "#), "{body}");
    }
    let missing = holdfast
        .post(
            "/v1.0-alpha1/lock/nowhere",
            r#"{"resourceId":"r","lockOwner":"o","expiryInSeconds":1}"#,
        )
        .await;
    assert_eq!(
        missing,
        (
            400,
            r#"{"errorCode":"ERR_LOCK_STORE_NOT_FOUND","message":"lock store nowhere not found"}"#
                .to_owned()
        )
    );
}

#[tokio::test]
async fn without_any_store_that_is_what_is_said() {
    let empty = temporary_dir();
    let holdfast = serve("app1", &empty);
    let none = (
        500,
        r#"{"errorCode":"ERR_LOCK_STORE_NOT_CONFIGURED","message":"lock store is not configured"}"#
            .to_owned(),
    );
    let body = r#"{"resourceId":"r","lockOwner":"o","expiryInSeconds":1}"#;
    assert_eq!(holdfast.post("/v1.0-alpha1/lock/lockstore", body).await, none);
    assert_eq!(holdfast.post("/v1.0-alpha1/unlock/lockstore", body).await, none);
}

#[tokio::test]
async fn a_reply_that_is_lost_says_until_when_the_lock_may_be_held() {
    let redis = RedisServer::start();
    let holdfast = serve("app1", &resources(&redis, "  - name: readTimeout\n    value: 300ms"));
    let grpc = holdfast.grpc().parse().unwrap();
    let mut client = Client::new(grpc).await;
    let mut other = Client(client.0.clone());
    assert_eq!(holdfast.try_lock("lockstore", "other", "o", 60).await, TAKEN);
    redis.suspend();
    // All at once, on the connection that there is: who comes later finds it retired.
    let body = r#"{"resourceId":"r","lockOwner":"o","expiryInSeconds":60}"#;
    let r3 = b"\x0a\x09lockstore\x12\x02r3\x1a\x01o\x20\x3c";
    let ((status, reply), taken, freed, late) = tokio::join!(
        holdfast.post("/v1.0-alpha1/lock/lockstore", body),
        client.try_lock("lockstore", "r2", "o", 60),
        other.unlock("lockstore", "other", "o"),
        raw(grpc, TRY_LOCK, &[("grpc-timeout", "50m")], r3),
    );
    let ((code, message), freed) = (said(taken), said(freed));
    redis.resume();

    let cause =
        format!("redis {}: no reply within 300ms; the outcome is unknown: ", redis.address());
    let start = format!("failed to try acquiring lock: {cause}the lock may be held until 20");
    assert_eq!(status, 500);
    let error = format!(r#"{{"errorCode":"ERR_TRY_LOCK","message":"{start}"#);
    assert!(reply.starts_with(&error) && reply.ends_with(r#"Z"}"#), "{reply}");
    assert_eq!(code, Code::Internal);
    assert!(message.starts_with(&start) && message.ends_with('Z'), "{message}");
    let message = format!("failed to release lock: {cause}the lock may be free or still held");
    assert_eq!(freed, (Code::Internal, message));
    assert_eq!(late.trailer("grpc-status"), Some("4"));
    eventually("the locks that nobody uses are given back", async || {
        redis.run::<u64>(&["EXISTS", "lock||app1||r", "lock||app1||r2", "lock||app1||r3"]) == 0
    })
    .await;
    assert_eq!(holdfast.try_lock("lockstore", "r", "o", 60).await, TAKEN);
    assert!(client.try_lock("lockstore", "r3", "o", 60).await.unwrap());
}

#[tokio::test]
async fn a_restart_of_redis_under_load_is_survived() {
    let mut redis = RedisServer::start_with(&["--appendonly", "yes", "--appendfsync", "always"]);
    let holdfast =
        Arc::new(serve("app1", &resources(&redis, "  - name: redisMaxRetries\n    value: -1")));
    let ending = Arc::new(AtomicBool::new(false));
    let failed = Arc::new(AtomicUsize::new(0));
    let callers: Vec<_> = (0..8)
        .map(|caller| {
            let (holdfast, ending) = (Arc::clone(&holdfast), Arc::clone(&ending));
            let failed = Arc::clone(&failed);
            tokio::spawn(async move {
                let (mut taken, mut errors) = (Vec::new(), Vec::new());
                for number in 0..1_000_000 {
                    if ending.load(Ordering::Relaxed) {
                        break;
                    }
                    let resource = format!("{caller}-{number}");
                    let body = format!(
                        r#"{{"resourceId":"{resource}","lockOwner":"{caller}","expiryInSeconds":600}}"#
                    );
                    match holdfast.post("/v1.0-alpha1/lock/lockstore", body).await {
                        (200, body) if body == TAKEN => taken.push(resource),
                        (200, body) => panic!("{resource} is nobody else's: {body}"),
                        (status, body) => {
                            assert_eq!(status, 500, "{body}");
                            errors.push(body);
                            failed.fetch_add(1, Ordering::Relaxed);
                            // Errors may be quick, and the test has other work to do.
                            tokio::time::sleep(Duration::from_millis(5)).await;
                        }
                    }
                }
                (taken, errors)
            })
        })
        .collect();

    let locks = || redis_size(&redis);
    eventually("locks are taken", async || locks() >= 100).await;
    redis.kill();
    eventually("errors come", async || failed.load(Ordering::Relaxed) > 0).await;
    redis.restart();
    let before = redis_size(&redis);
    eventually("locks are taken again", async || redis_size(&redis) >= before + 100).await;
    ending.store(true, Ordering::Relaxed);

    let (mut all, mut errors) = (0, 0);
    for (caller, task) in callers.into_iter().enumerate() {
        let (taken, messages) = task.await.unwrap();
        all += taken.len();
        errors += messages.len();
        for resource in taken {
            let owner: Option<String> = redis.run(&["GET", &format!("lock||app1||{resource}")]);
            assert_eq!(owner, Some(caller.to_string()), "{resource} was reported as taken");
        }
        for message in messages {
            let start = format!(
                r#"{{"errorCode":"ERR_TRY_LOCK","message":"failed to try acquiring lock: redis {}: "#,
                redis.address()
            );
            assert!(message.starts_with(&start), "{message}");
        }
    }
    assert!(all >= 200 && errors > 0, "{all} locks, {errors} errors");
}

fn redis_size(redis: &RedisServer) -> u64 {
    redis.run(&["DBSIZE"])
}

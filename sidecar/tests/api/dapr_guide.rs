//! The calls of Dapr's guide to locks, with the program and Redis.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use holdfast_tests::{
    STORE, eventually,
    grpc_client::{self, Client, TRY_LOCK, send},
    holdfast::Holdfast,
    http_api::{ACQUIRED, HELD, HELD_BY_OTHER, MISSING, RELEASED},
    redis_server::RedisServer,
    redis_store::{ONCE, Setting},
    resources::{self, Resources},
};
use tonic::Code;

use crate::HOLDFAST;

/// `lockstore` in Redis, with these settings, and `memory` in memory.
fn resources(redis: &RedisServer, settings: &[Setting<'_>]) -> Resources {
    let definitions = resources::redis(STORE, redis, settings) + &resources::in_memory("memory");
    Resources::new(&[("stores.yaml", &definitions)])
}

fn serve(app_id: &str, resources: &Resources) -> Holdfast {
    Holdfast::serve(HOLDFAST, &["--app-id", app_id, "--resources-path", resources.path()])
}

#[tokio::test]
async fn the_component_file_and_the_calls_of_daprs_guide_work() {
    let redis = RedisServer::start_with_password("secret");
    let holdfast = serve("app1", &resources(&redis, &[("redisPassword", "secret")]));
    let (file, owner) = ("my_file_name", "random_id_abc123");

    assert_eq!(holdfast.try_lock("lockstore", file, owner, 60).await, ACQUIRED);
    assert_eq!(holdfast.try_lock("lockstore", file, owner, 60).await, HELD);
    let value: String = redis.run(&["GET", "lock||app1||my_file_name"]);
    assert_eq!(value, owner);
    let left: u64 = redis.run(&["PTTL", "lock||app1||my_file_name"]);
    // A lock may last longer by the round trip in which the clock was read.
    assert!((1..=61_000).contains(&left), "{left}");

    assert_eq!(holdfast.unlock("lockstore", file, "somebody").await, HELD_BY_OTHER);
    assert_eq!(holdfast.unlock("lockstore", file, owner).await, RELEASED);
    assert_eq!(holdfast.unlock("lockstore", file, owner).await, MISSING);

    redis.run::<()>(&["SET", "lock||app1||r2", "other", "EX", "60", "NX"]);
    assert_eq!(holdfast.try_lock("lockstore", "r2", owner, 60).await, HELD);
    assert_eq!(holdfast.unlock("lockstore", "r2", owner).await, HELD_BY_OTHER);
    assert_eq!(holdfast.unlock("lockstore", "r2", "other").await, RELEASED);
}

#[tokio::test]
async fn instances_of_an_application_share_their_locks() {
    let redis = RedisServer::start();
    let resources = resources(&redis, &[]);
    let (one, two) = (serve("app1", &resources), serve("app1", &resources));

    assert_eq!(one.try_lock("lockstore", "r", "one", 60).await, ACQUIRED);
    assert_eq!(two.try_lock("lockstore", "r", "two", 60).await, HELD);
    assert_eq!(two.unlock("lockstore", "r", "two").await, HELD_BY_OTHER);
    assert_eq!(one.unlock("lockstore", "r", "one").await, RELEASED);
    assert_eq!(two.try_lock("lockstore", "r", "two", 60).await, ACQUIRED);
    assert_eq!(one.try_lock("lockstore", "r", "one", 60).await, HELD);
}

#[tokio::test]
async fn applications_do_not_share_locks() {
    let redis = RedisServer::start();
    let resources = resources(&redis, &[]);
    let (one, two) = (serve("app1", &resources), serve("app2", &resources));

    assert_eq!(one.try_lock("lockstore", "r", "same", 60).await, ACQUIRED);
    assert_eq!(two.try_lock("lockstore", "r", "same", 60).await, ACQUIRED);
    assert_eq!(one.unlock("lockstore", "r", "same").await, RELEASED);
    assert_eq!(two.try_lock("lockstore", "r", "same", 60).await, HELD);
}

#[tokio::test]
async fn a_lock_expires_after_its_time_to_live_and_not_before() {
    let redis = RedisServer::start();
    let holdfast = serve("app1", &resources(&redis, &[]));
    for store in ["lockstore", "memory"] {
        let started = Instant::now();
        assert_eq!(holdfast.try_lock(store, "r", "one", 1).await, ACQUIRED);
        eventually("the lock expires", async || {
            holdfast.try_lock(store, "r", "two", 60).await == ACQUIRED
        })
        .await;
        assert!(started.elapsed() >= Duration::from_secs(1), "{store}");
        assert_eq!(holdfast.unlock(store, "r", "one").await, HELD_BY_OTHER);
    }
}

#[tokio::test]
async fn errors_are_daprs_word_for_word_on_both_stores() {
    let redis = RedisServer::start();
    let holdfast = serve("app1", &resources(&redis, &[]));
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
async fn without_a_store_calls_say_so() {
    let holdfast = serve("app1", &Resources::new(&[]));
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
async fn an_unknown_outcome_says_until_when_the_lock_may_be_held() {
    let redis = RedisServer::start();
    let holdfast = serve("app1", &resources(&redis, &[("readTimeout", "300ms")]));
    let grpc = holdfast.grpc().parse().unwrap();
    let mut client = Client::new(grpc).await;
    let mut other = Client(client.0.clone());
    assert_eq!(holdfast.try_lock("lockstore", "other", "o", 60).await, ACQUIRED);
    redis.suspend();
    // All at once, on the open connection: a later call would get another one.
    let body = r#"{"resourceId":"r","lockOwner":"o","expiryInSeconds":60}"#;
    let r3 = b"\x0a\x09lockstore\x12\x02r3\x1a\x01o\x20\x3c";
    let ((status, reply), taken, freed, late) = tokio::join!(
        holdfast.post("/v1.0-alpha1/lock/lockstore", body),
        client.try_lock("lockstore", "r2", "o", 60),
        other.unlock("lockstore", "other", "o"),
        send(grpc, TRY_LOCK, &[("grpc-timeout", "50m")], r3),
    );
    let ((code, message), freed) = (grpc_client::error(taken), grpc_client::error(freed));
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
    eventually("the abandoned locks are released", async || {
        redis.run::<u64>(&["EXISTS", "lock||app1||r", "lock||app1||r2", "lock||app1||r3"]) == 0
    })
    .await;
    assert_eq!(holdfast.try_lock("lockstore", "r", "o", 60).await, ACQUIRED);
    assert!(client.try_lock("lockstore", "r3", "o", 60).await.unwrap());
}

#[tokio::test]
async fn no_reported_lock_is_lost_when_redis_restarts_under_load() {
    let mut redis = RedisServer::start_with(&["--appendonly", "yes", "--appendfsync", "always"]);
    let holdfast = Arc::new(serve("app1", &resources(&redis, &[ONCE])));
    let ending = Arc::new(AtomicBool::new(false));
    let failed = Arc::new(AtomicUsize::new(0));
    let callers: Vec<_> = (0..8)
        .map(|caller| {
            let (holdfast, ending) = (Arc::clone(&holdfast), Arc::clone(&ending));
            tokio::spawn(take_many(caller, holdfast, ending, Arc::clone(&failed)))
        })
        .collect();

    eventually("locks are acquired", async || count_locks(&redis) >= 100).await;
    redis.kill();
    eventually("errors come", async || failed.load(Ordering::Relaxed) > 0).await;
    redis.restart();
    let before = count_locks(&redis);
    eventually("locks are acquired again", async || count_locks(&redis) >= before + 100).await;
    ending.store(true, Ordering::Relaxed);

    let (mut all, mut errors) = (0, 0);
    for (caller, task) in callers.into_iter().enumerate() {
        let (taken, messages) = task.await.unwrap();
        all += taken.len();
        errors += messages.len();
        for resource in taken {
            let owner: Option<String> = redis.run(&["GET", &format!("lock||app1||{resource}")]);
            assert_eq!(owner, Some(caller.to_string()), "{resource} was reported as acquired");
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

/// Takes locks until the test is ending. Returns the resources of those that were reported as taken, and the errors.
async fn take_many(
    caller: usize,
    holdfast: Arc<Holdfast>,
    ending: Arc<AtomicBool>,
    failed: Arc<AtomicUsize>,
) -> (Vec<String>, Vec<String>) {
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
            (200, body) if body == ACQUIRED => taken.push(resource),
            (200, body) => panic!("{resource} is held by nobody else: {body}"),
            (status, body) => {
                assert_eq!(status, 500, "{body}");
                errors.push(body);
                failed.fetch_add(1, Ordering::Relaxed);
                // Errors come fast; leave time for the rest of the test.
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
    }
    (taken, errors)
}

fn count_locks(redis: &RedisServer) -> u64 {
    redis.run(&["DBSIZE"])
}

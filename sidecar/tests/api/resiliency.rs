//! Resiliency files with the program and a Redis that fails: the answers to callers, and the recovery.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU64, Ordering},
};

use holdfast_tests::{
    eventually,
    holdfast::Holdfast,
    http_api::{ACQUIRED, HELD, LOCK, MISSING, RELEASED, UNLOCK, error},
    http_client::lock_body,
    redis_server::RedisServer,
    redis_store::{ONCE, PATIENT},
    resources::Resources,
};

use crate::HOLDFAST;

/// `lockstore` in Redis, which waits long and tries once, under these policies.
fn resources(redis: &RedisServer, policies: &str) -> Resources {
    let resiliency = format!(
        "apiVersion: dapr.io/v1alpha1
kind: Resiliency
metadata:
  name: resiliency
spec:
  policies:
{policies}
  targets:
    components:
      lockstore:
        outbound: {{timeout: t, retry: r, circuitBreaker: c}}
"
    );
    let resources = Resources::in_redis(redis, &[PATIENT, ONCE]);
    resources.write("resiliency.yaml", &resiliency);
    resources
}

fn serve(resources: &Resources) -> Holdfast {
    let arguments =
        ["--app-id", "app1", "--log-level", "debug", "--resources-path", resources.path()];
    Holdfast::serve(HOLDFAST, &arguments)
}

fn try_lock_failed(cause: &str) -> (u16, String) {
    (500, error("ERR_TRY_LOCK", &format!("failed to try acquiring lock: {cause}")))
}

#[tokio::test]
async fn a_timeout_makes_the_outcome_unknown_and_leaves_no_lock() {
    let redis = RedisServer::start();
    let policies = "    timeouts: {t: 200ms}\n    retries: {r: {duration: 10ms}}";
    let holdfast = serve(&resources(&redis, policies));
    redis.forget_calls();
    assert_eq!(holdfast.try_lock("lockstore", "other", "o", 60).await, ACQUIRED);
    redis.suspend();
    let (status, message) = holdfast.post(LOCK, lock_body("r", "o")).await;
    redis.resume();
    assert_eq!(status, 500);
    let start = r#"{"errorCode":"ERR_TRY_LOCK","message":"failed to try acquiring lock: no outcome within the resiliency timeout of 200ms; the outcome is unknown: the lock may be held until 20"#;
    assert!(message.starts_with(start), "{message}");
    eventually("the abandoned lock is released", async || {
        redis.calls("set") == 2 && !redis.exists("lock||app1||r")
    })
    .await;
    assert_eq!(holdfast.try_lock("lockstore", "r", "o", 60).await, ACQUIRED);
    assert_eq!(redis.calls("set"), 3);
}

#[tokio::test]
async fn retries_last_until_redis_is_back() {
    let mut redis = RedisServer::start();
    let holdfast = Arc::new(serve(&resources(&redis, "    retries: {r: {duration: 50ms}}")));
    let call = |path: &'static str| {
        let holdfast = Arc::clone(&holdfast);
        tokio::spawn(async move { holdfast.post(path, lock_body("r", "o")).await })
    };
    let tries =
        |operation: &str| holdfast.log().matches(&format!("{operation} failed, next")).count();
    redis.kill();
    // The lost connection may make an outcome unknown. A release is then retried, an acquire is not.
    let releasing = call(UNLOCK);
    eventually("the release is retried", async || tries("release") >= 2).await;
    let acquiring = call(LOCK);
    eventually("the acquire is retried", async || tries("acquire") >= 2).await;
    assert!(!releasing.is_finished() && !acquiring.is_finished());
    redis.restart();
    let released = releasing.await.unwrap();
    assert!(released.1 == MISSING || released.1 == RELEASED, "{released:?}");
    assert_eq!(acquiring.await.unwrap(), (200, ACQUIRED.to_owned()));
}

#[tokio::test]
async fn a_breaker_opens_after_failures_and_closes_once_redis_is_back() {
    let mut redis = RedisServer::start();
    let policies = "    circuitBreakers: {c: {timeout: 1s, trip: consecutiveFailures >= 3}}";
    let holdfast = serve(&resources(&redis, policies));
    assert_eq!(holdfast.try_lock("lockstore", "r", "o", 60).await, ACQUIRED);
    redis.kill();
    let open = try_lock_failed("circuit breaker is open");
    let address = redis.address();
    eventually("the breaker is open", async || {
        let reply = holdfast.post(LOCK, lock_body("x", "o")).await;
        if reply != open {
            let (_, prefix) = try_lock_failed(&format!("redis {address}: "));
            assert!(reply.1.starts_with(prefix.trim_end_matches("\"}")), "{reply:?}");
        }
        reply == open
    })
    .await;
    let refused = error("ERR_UNLOCK", "failed to release lock: circuit breaker is open");
    assert_eq!(holdfast.post(UNLOCK, lock_body("r", "o")).await, (500, refused));
    redis.restart();
    eventually("the breaker is closed", async || {
        holdfast.post(LOCK, lock_body("y", "o")).await.0 == 200
    })
    .await;
    for number in 0..10 {
        assert_eq!(holdfast.try_lock("lockstore", &format!("y{number}"), "o", 60).await, ACQUIRED);
    }
    for change in ["is open for 1s", "is half-open", "is closed"] {
        let line = format!("the circuit breaker {change} store=\"lockstore\" breaker=\"c\"");
        let log = holdfast.log();
        assert!(log.contains(&line), "{line}: {log}");
    }
}

#[tokio::test]
async fn no_lock_has_two_owners_while_redis_freezes_and_resumes() {
    let redis = RedisServer::start();
    let policies = "    timeouts: {t: 50ms}
    retries: {r: {duration: 5ms, maxRetries: 3}}
    circuitBreakers: {c: {timeout: 100ms, trip: consecutiveFailures >= 20}}";
    let resources = resources(&redis, policies);
    let servers = [Arc::new(serve(&resources)), Arc::new(serve(&resources))];
    let work = Arc::<Work>::default();
    let workers: Vec<_> = (0..8)
        .map(|worker| {
            tokio::spawn(take_turns(worker, Arc::clone(&servers[worker % 2]), Arc::clone(&work)))
        })
        .collect();
    for _ in 0..5 {
        let failures = || work.failures.load(Ordering::SeqCst);
        let before = failures();
        redis.suspend();
        eventually("calls fail", async || failures() >= before + 4).await;
        redis.resume();
        let owner = || redis.run::<Option<String>>(&["GET", "lock||app1||r"]);
        let last = owner();
        eventually("others acquire it again", async || {
            owner().is_some_and(|now| Some(now) != last)
        })
        .await;
    }
    work.ends.store(true, Ordering::SeqCst);
    let mut holds = 0;
    for worker in workers {
        holds += worker.await.unwrap();
    }
    assert!(holds >= 5, "{holds}");
}

/// The state that workers of one lock share.
#[derive(Default)]
struct Work {
    /// How many believe that they hold the lock.
    holders: AtomicU64,
    /// How many of their calls have failed.
    failures: AtomicU64,
    /// Whether they are to end.
    ends: AtomicBool,
}

/// Takes the lock and releases it until the work ends. Returns how often it was taken.
async fn take_turns(worker: usize, holdfast: Arc<Holdfast>, work: Arc<Work>) -> u64 {
    let mut holds = 0;
    for round in 0..1_000_000 {
        if work.ends.load(Ordering::SeqCst) {
            break;
        }
        let body = lock_body("r", &format!("{worker}-{round}"));
        match holdfast.post(LOCK, body.as_str()).await {
            (200, reply) if reply == ACQUIRED => {}
            (200, reply) => {
                assert_eq!(reply, HELD);
                continue;
            }
            _ => {
                work.failures.fetch_add(1, Ordering::SeqCst);
                continue;
            }
        }
        assert_eq!(work.holders.fetch_add(1, Ordering::SeqCst), 0, "{worker}-{round}");
        holds += 1;
        tokio::task::yield_now().await;
        assert_eq!(work.holders.fetch_sub(1, Ordering::SeqCst), 1, "{worker}-{round}");
        eventually("the lock is released", async || {
            holdfast.post(UNLOCK, body.as_str()).await.0 == 200
        })
        .await;
    }
    holds
}

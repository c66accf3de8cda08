//! Resiliency files with the binary and a real Redis that fails: what callers hear, and when it
//! works again.

#![allow(clippy::unwrap_used, reason = "helpers of tests may panic as tests do")]

use std::{
    fs,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use holdfast_tests::{
    eventually,
    holdfast::Holdfast,
    redis_server::{RedisServer, temporary_dir},
};
use tempfile::TempDir;

const TAKEN: &str = r#"{"success":true}"#;
const HELD: &str = r#"{"success":false}"#;
const FREED: &str = r#"{"status":0}"#;
const MISSING: &str = r#"{"status":1}"#;
const LOCK: &str = "/v1.0-alpha1/lock/lockstore";
const UNLOCK: &str = "/v1.0-alpha1/unlock/lockstore";

/// A folder with a component file for `lockstore`, which waits long and tries once, and a
/// resiliency file with these policies, all of which apply to it.
fn resources(redis: &RedisServer, policies: &str) -> TempDir {
    let folder = temporary_dir();
    let address = redis.address();
    let store = format!(
        "apiVersion: dapr.io/v1alpha1
kind: Component
metadata:
  name: lockstore
spec:
  type: lock.redis
  metadata:
  - name: redisHost
    value: {address}
  - name: readTimeout
    value: 60s
  - name: redisMaxRetries
    value: -1
"
    );
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
    fs::write(folder.path().join("lockstore.yaml"), store).unwrap();
    fs::write(folder.path().join("resiliency.yaml"), resiliency).unwrap();
    folder
}

fn serve(resources: &TempDir) -> Holdfast {
    let folder = resources.path().to_str().unwrap();
    let binary = Path::new(env!("CARGO_BIN_EXE_holdfast"));
    Holdfast::serve(
        binary,
        &["--app-id", "app1", "--log-level", "debug", "--resources-path", folder],
    )
}

fn body(resource: &str, owner: &str) -> String {
    format!(r#"{{"resourceId":"{resource}","lockOwner":"{owner}","expiryInSeconds":600}}"#)
}

fn try_lock_failed(cause: &str) -> (u16, String) {
    let message = format!("failed to try acquiring lock: {cause}");
    (500, format!(r#"{{"errorCode":"ERR_TRY_LOCK","message":"{message}"}}"#))
}

fn carried_out(redis: &RedisServer, command: &str) -> u64 {
    let stats: String = redis.run(&["INFO", "commandstats"]);
    let calls =
        stats.lines().find_map(|line| line.strip_prefix(&format!("cmdstat_{command}:calls=")));
    calls.and_then(|rest| rest.split(',').next()?.parse().ok()).unwrap_or(0)
}

#[tokio::test]
async fn a_timeout_answers_that_the_outcome_is_unknown_and_nothing_stays_taken() {
    let redis = RedisServer::start();
    let policies = "    timeouts: {t: 200ms}\n    retries: {r: {duration: 10ms}}";
    let holdfast = serve(&resources(&redis, policies));
    assert_eq!(holdfast.try_lock("lockstore", "other", "o", 60).await, TAKEN);
    redis.suspend();
    let (status, message) = holdfast.post(LOCK, body("r", "o")).await;
    redis.resume();
    assert_eq!(status, 500);
    let start = r#"{"errorCode":"ERR_TRY_LOCK","message":"failed to try acquiring lock: no outcome within the resiliency timeout of 200ms; the outcome is unknown: the lock may be held until 20"#;
    assert!(message.starts_with(start), "{message}");
    let redis = &redis;
    eventually("the lock that nobody uses is given back", || async {
        carried_out(redis, "set") == 2 && !redis.run::<bool>(&["EXISTS", "lock||app1||r"])
    })
    .await;
    assert_eq!(holdfast.try_lock("lockstore", "r", "o", 60).await, TAKEN);
    assert_eq!(carried_out(redis, "set"), 3);
}

#[tokio::test]
async fn retries_last_until_redis_is_back() {
    let mut redis = RedisServer::start();
    let holdfast = Arc::new(serve(&resources(&redis, "    retries: {r: {duration: 50ms}}")));
    let call = |path: &'static str| {
        let holdfast = Arc::clone(&holdfast);
        tokio::spawn(async move { holdfast.post(path, body("r", "o")).await })
    };
    let tries =
        |operation: &str| holdfast.log().matches(&format!("{operation} failed, next")).count();
    redis.kill();
    // The loss of the connection may leave a release open, which is then tried again, and not so
    // an acquire.
    let releasing = call(UNLOCK);
    eventually("a release is tried again", async || tries("release") >= 2).await;
    let acquiring = call(LOCK);
    eventually("an acquire is tried again", async || tries("acquire") >= 2).await;
    assert!(!releasing.is_finished() && !acquiring.is_finished());
    redis.restart();
    let released = releasing.await.unwrap();
    assert!(released.1 == MISSING || released.1 == FREED, "{released:?}");
    assert_eq!(acquiring.await.unwrap(), (200, TAKEN.to_owned()));
}

#[tokio::test]
async fn a_breaker_opens_after_failures_and_closes_once_redis_is_back() {
    let mut redis = RedisServer::start();
    let policies = "    circuitBreakers: {c: {timeout: 1s, trip: consecutiveFailures >= 3}}";
    let holdfast = serve(&resources(&redis, policies));
    assert_eq!(holdfast.try_lock("lockstore", "r", "o", 60).await, TAKEN);
    redis.kill();
    let open = try_lock_failed("circuit breaker is open");
    let (holdfast, address) = (&holdfast, redis.address());
    eventually("the breaker is open", || async {
        let reply = holdfast.post(LOCK, body("x", "o")).await;
        if reply != open {
            let (_, prefix) = try_lock_failed(&format!("redis {address}: "));
            assert!(reply.1.starts_with(prefix.trim_end_matches("\"}")), "{reply:?}");
        }
        reply == open
    })
    .await;
    let (status, message) = holdfast.post(UNLOCK, body("r", "o")).await;
    assert_eq!(status, 500);
    assert!(message.contains("failed to release lock: circuit breaker is open"), "{message}");
    redis.restart();
    eventually("the breaker is closed", || async {
        holdfast.post(LOCK, body("y", "o")).await.0 == 200
    })
    .await;
    for number in 0..10 {
        assert_eq!(holdfast.try_lock("lockstore", &format!("y{number}"), "o", 60).await, TAKEN);
    }
    for change in ["is open for 1s", "is half-open", "is closed"] {
        let line = format!("the circuit breaker {change} store=\"lockstore\" breaker=\"c\"");
        let log = holdfast.log();
        assert!(log.contains(&line), "{line}: {log}");
    }
}

#[tokio::test]
async fn no_lock_is_taken_twice_while_redis_freezes_and_thaws() {
    let redis = RedisServer::start();
    let policies = "    timeouts: {t: 50ms}
    retries: {r: {duration: 5ms, maxRetries: 3}}
    circuitBreakers: {c: {timeout: 100ms, trip: consecutiveFailures >= 20}}";
    let resources = resources(&redis, policies);
    let servers = [Arc::new(serve(&resources)), Arc::new(serve(&resources))];
    let (holders, failures, ending) = (
        Arc::new(AtomicU64::new(0)),
        Arc::new(AtomicU64::new(0)),
        Arc::new(AtomicBool::new(false)),
    );
    let workers: Vec<_> = (0..8)
        .map(|worker| {
            let holdfast = Arc::clone(&servers[worker % 2]);
            let (holders, failures, ending) =
                (Arc::clone(&holders), Arc::clone(&failures), Arc::clone(&ending));
            tokio::spawn(async move {
                let mut holds = 0;
                for round in 0..1_000_000 {
                    if ending.load(Ordering::SeqCst) {
                        break;
                    }
                    let body = body("r", &format!("{worker}-{round}"));
                    match holdfast.post(LOCK, body.as_str()).await {
                        (200, reply) if reply == TAKEN => {}
                        (200, reply) => {
                            assert_eq!(reply, HELD);
                            continue;
                        }
                        _ => {
                            failures.fetch_add(1, Ordering::SeqCst);
                            continue;
                        }
                    }
                    assert_eq!(holders.fetch_add(1, Ordering::SeqCst), 0, "{worker}-{round}");
                    holds += 1;
                    tokio::task::yield_now().await;
                    assert_eq!(holders.fetch_sub(1, Ordering::SeqCst), 1, "{worker}-{round}");
                    eventually("the lock is released", || async {
                        holdfast.post(UNLOCK, body.as_str()).await.0 == 200
                    })
                    .await;
                }
                holds
            })
        })
        .collect();
    for _ in 0..5 {
        let before = failures.load(Ordering::SeqCst);
        redis.suspend();
        eventually("calls fail", async || failures.load(Ordering::SeqCst) >= before + 4).await;
        redis.resume();
        let owner = || redis.run::<Option<String>>(&["GET", "lock||app1||r"]);
        let last = owner();
        eventually("others take it again", async || owner().is_some_and(|now| Some(now) != last))
            .await;
    }
    ending.store(true, Ordering::SeqCst);
    let mut holds = 0;
    for worker in workers {
        holds += worker.await.unwrap();
    }
    assert!(holds >= 5, "{holds}");
}

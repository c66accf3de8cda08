//! Replicas that must have a lock before it counts.

use std::{cell::Cell, time::Duration};

use holdfast::store::{
    Acquired, Extended, Failure, Released, Store,
    properties::Properties,
    redis::{self, ConnectError, RedisSettings},
};
use holdfast_tests::{
    MINUTE, assert_granted,
    clock::Clock,
    eventually, is_granted,
    redis_options::RedisOptions,
    redis_server::RedisServer,
    redis_store::{ONCE, Setting, connect, connect_to},
    sentinel_group::{SentinelGroup, SentinelOptions},
};

use crate::{QUICK_RETRIES, not_done};

const ONE: Setting = ("minReplicas", "1");
const TWO: Setting = ("minReplicas", "2");

/// The server waits for a third of it.
const HASTY: Setting = ("readTimeout", "3s");

/// Tries until the test ends it.
const PERSISTENT: [Setting; 2] = [("redisMaxRetries", "1000"), QUICK_RETRIES];

/// A server with a replica that is in sync.
async fn server_and_replica() -> (RedisServer, RedisServer) {
    let server = RedisServer::start_with(&["--repl-diskless-sync-delay", "0"]);
    let replica = replica_of(&server, RedisOptions::new()).await;
    (server, replica)
}

async fn replica_of(server: &RedisServer, options: RedisOptions) -> RedisServer {
    let replica = RedisServer::start_by_options(options);
    replica.run::<()>(&["REPLICAOF", "127.0.0.1", &server.port().to_string()]);
    eventually("the replica is in sync", async || {
        server.run::<()>(&["SET", "first", "x"]);
        replica.exists("first")
    })
    .await;
    replica
}

#[tokio::test]
async fn a_lock_is_on_the_replica_before_its_owner_gets_the_answer() {
    let (server, replica) = server_and_replica().await;
    let store = connect(&server, &[ONE]).await.unwrap();
    for round in 0..100 {
        let key = format!("k{round}");
        assert_granted(store.acquire(&key, "me", MINUTE).await);
        assert!(replica.exists(&key), "{key}");
    }
    assert_granted(store.acquire_fenced("numbered", "me", MINUTE).await);
    assert!(replica.exists("numbered"));
    let extended = store.extend("k1", "me", MINUTE * 2, false).await;
    assert!(matches!(extended, Ok(Extended::Extended(_))), "{extended:?}");
    assert!(replica.run::<i64>(&["PTTL", "k1"]) > 60_000);
    assert_eq!(store.release("k1", "me").await, Ok(Released::Released));
    assert_eq!(store.acquire("k2", "you", MINUTE).await, Ok(Acquired::Held));
}

#[tokio::test]
async fn a_server_with_replicas_is_refused_without() {
    let (server, _replica) = server_and_replica().await;
    let refused = connect(&server, &[ONCE]).await.map(drop).unwrap_err();
    assert!(matches!(refused, ConnectError::Replicated { replicas: 1, .. }), "{refused}");
    let hint = "set minReplicas to the number of replicas that must have a lock";
    assert!(refused.to_string().contains(hint), "{refused}");
}

#[tokio::test]
async fn a_lock_that_too_few_replicas_have_is_given_back() {
    let (server, replica) = server_and_replica().await;
    let store = connect(&server, &[ONE, HASTY, ONCE]).await.unwrap();
    assert_granted(store.acquire("held", "me", MINUTE).await);
    replica.suspend();
    let few =
        format!("redis {}: only 0 of 1 replicas have the lock (minReplicas)", server.address());
    assert_eq!(not_done(store.acquire("k", "me", MINUTE).await), few);
    assert!(!server.exists("k"));
    assert_eq!(not_done(store.acquire_fenced("k", "me", MINUTE).await), few);
    assert!(!server.exists("k"));
    // A lock that is held already stays.
    assert_eq!(store.acquire("held", "you", MINUTE).await, Ok(Acquired::Held));
    let Err(Failure::Unknown(unknown)) = store.extend("held", "me", MINUTE * 2, false).await else {
        panic!("an extend that too few replicas have")
    };
    assert_eq!(unknown.cause, few);
    assert_eq!(store.release("held", "me").await, Ok(Released::Released));

    replica.resume();
    eventually("the replica is back", async || is_granted(&store.acquire("k", "me", MINUTE).await))
        .await;
    assert!(replica.exists("k"));
}

#[tokio::test]
async fn a_server_with_too_few_replicas_is_refused_at_the_start() {
    let (server, _replica) = server_and_replica().await;
    let refused = connect(&server, &[TWO, HASTY, ONCE]).await.map(drop).unwrap_err().to_string();
    let few = "a lock cannot be taken: only 1 of 2 replicas have the lock (minReplicas)";
    assert!(refused.ends_with(few), "{refused}");
}

#[tokio::test]
async fn a_start_waits_for_replicas_that_come_within_its_tries() {
    let server = RedisServer::start_with(&["--repl-diskless-sync-delay", "0"]);
    let settings = [&PERSISTENT[..], &[ONE, HASTY]].concat();
    let (store, _replica) = tokio::join!(connect(&server, &settings), async {
        eventually("two locks have no replica", async || server.calls("wait") >= 2).await;
        replica_of(&server, RedisOptions::new()).await
    });
    assert_granted(store.unwrap().acquire("k", "me", MINUTE).await);
    // The locks of the tries were given back.
    assert_eq!(server.run::<Vec<String>>(&["KEYS", "*holdfast-check-*"]), Vec::<String>::new());
}

#[tokio::test]
async fn a_start_that_is_late_says_why_no_lock_was_taken() {
    let server = RedisServer::start();
    let address = server.address();
    let mut properties: Properties = PERSISTENT.into_iter().collect();
    for (name, value) in [("redisHost", address.as_str()), ONE, ("readTimeout", "3s")] {
        properties.insert(name, value);
    }
    let settings = RedisSettings::parse(&properties).unwrap();
    let late = redis::connect_within("locks", settings, Duration::from_millis(2_500)).await;
    let Err(error @ ConnectError::Late { .. }) = late.map(drop) else { panic!("no late start") };
    let few = "a lock cannot be taken: only 0 of 1 replicas have the lock (minReplicas)";
    assert_eq!(error.to_string(), format!("redis {address}: {few}"));
}

#[tokio::test]
async fn a_refusal_to_wait_for_replicas_is_not_tried_again_at_the_start() {
    let (server, _replica) = server_and_replica().await;
    let settings = [&PERSISTENT[..], &[ONE, ("replicasOnDisk", "true")]].concat();
    server.forget_calls();
    let refused = connect(&server, &settings).await.map(drop).unwrap_err().to_string();
    assert!(refused.contains("WAITAOF"), "{refused}");
    assert_eq!(server.calls("set"), 1);
}

#[tokio::test]
async fn a_server_that_cannot_wait_for_the_disk_is_refused_at_the_start() {
    let (server, _replica) = server_and_replica().await;
    let settings = [ONE, ("replicasOnDisk", "true"), ONCE];
    let refused = connect(&server, &settings).await.map(drop).unwrap_err().to_string();
    // Redis 7.0 knows no such command, and later ones have no file to wait for.
    assert!(refused.contains("WAITAOF"), "{refused}");
}

#[tokio::test]
async fn a_lock_is_on_the_disk_of_the_replica() {
    let Some(valkey) = holdfast_tests::prepared("HOLDFAST_SERVER_VALKEY", "Valkey") else { return };
    let options = || {
        let on_disk = ["--appendonly", "yes", "--appendfsync", "always"];
        let more = ["--repl-diskless-sync-delay", "0"];
        RedisOptions::of(valkey.join("valkey-server")).arguments(&on_disk).arguments(&more)
    };
    let server = RedisServer::start_by_options(options());
    let replica = replica_of(&server, options()).await;
    let settings = [ONE, ("replicasOnDisk", "true")];
    let patient = [settings[0], settings[1], ("readTimeout", "60s")];
    let store = connect(&server, &patient).await.unwrap();
    assert_granted(store.acquire("k", "me", MINUTE).await);
    assert!(server.calls("waitaof") > 0);

    let hasty = connect(&server, &[settings[0], settings[1], HASTY, ONCE]).await.unwrap();
    replica.suspend();
    let few = not_done(hasty.acquire("other", "me", MINUTE).await);
    assert!(few.ends_with("only 0 of 1 replicas have the lock on disk (minReplicas)"), "{few}");
    replica.resume();
}

#[tokio::test]
async fn a_master_without_its_replicas_takes_no_lock_that_a_failover_loses() {
    let options = SentinelOptions { replicas: 2, ..SentinelOptions::default() };
    let mut group = SentinelGroup::start_with(options).await;
    let settings = [("failover", "true"), ("sentinelMasterName", "mymaster"), ONE, HASTY, ONCE];
    let store = connect_to(&group.hosts(), &settings).await.unwrap();
    group.isolate(0);
    let refused = Cell::new(0);
    eventually("locks are taken again", async || {
        let key = format!("k{}", refused.get());
        match store.acquire(&key, "me", MINUTE).await {
            Ok(outcome) => {
                assert_granted(Ok(outcome));
                let on_others = [1, 2].iter().any(|node| group.nodes()[*node].exists(&key));
                assert!(on_others, "{key} is on the old master alone");
                true
            }
            Err(_) => {
                refused.set(refused.get() + 1);
                false
            }
        }
    })
    .await;
    assert!(refused.get() > 0);
    group.promoted(0).await;
}

#[tokio::test]
async fn a_replica_whose_clock_is_ahead_ends_locks_early_once_it_is_promoted() {
    let Some(mut clock) = Clock::make() else { return };
    clock.step(3_600_000);
    let server = RedisServer::start_with(&["--repl-diskless-sync-delay", "0"]);
    let ahead = RedisOptions::new().environment(clock.environment());
    let replica = replica_of(&server, ahead).await;
    let store = connect(&server, &[ONE]).await.unwrap();
    assert_granted(store.acquire("k", "me", MINUTE).await);
    replica.run::<()>(&["REPLICAOF", "NO", "ONE"]);
    assert!(server.exists("k") && !replica.exists("k"));
}

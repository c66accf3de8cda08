//! The answers of the library's store, and its keys and values in Redis.

use std::time::Duration;

use futures_util::future::join_all;
use holdfast::store::{Acquired, Failure, Released, Store, redis::RedisStore};
use holdfast_tests::{
    MINUTE, assert_granted, eventually, is_granted, redis_server::RedisServer, redis_store::connect,
};

use crate::not_done;

async fn server_and_store() -> (RedisServer, RedisStore) {
    let server = RedisServer::start();
    let store = connect(&server, &[]).await.expect("a store");
    (server, store)
}

#[tokio::test]
async fn a_lock_has_one_owner_and_only_its_owner_releases_it() {
    let (_server, store) = server_and_store().await;
    assert_granted(store.acquire("lock||a", "me", MINUTE).await);
    assert_eq!(store.acquire("lock||a", "me", MINUTE).await, Ok(Acquired::Held));
    assert_eq!(store.acquire("lock||a", "you", MINUTE).await, Ok(Acquired::Held));
    assert_eq!(store.release("lock||a", "you").await, Ok(Released::HeldByOther));
    assert_eq!(store.release("lock||a", "me").await, Ok(Released::Released));
    assert_eq!(store.release("lock||a", "me").await, Ok(Released::Missing));
    assert_granted(store.acquire("lock||a", "you", MINUTE).await);
}

#[tokio::test]
async fn redis_has_exactly_the_key_the_owner_and_the_time_to_live() {
    let (server, store) = server_and_store().await;
    let (key, owner) = ("lock||app ü\r\n||r\0", "own er\r\n\"'\0ß");
    assert_granted(store.acquire(key, owner, MINUTE).await);
    assert_eq!(server.run::<Vec<String>>(&["KEYS", "*"]), [key]);
    assert_eq!(server.run::<String>(&["GET", key]), owner);
    let left: i64 = server.run(&["PTTL", key]);
    // A lock may last longer by the round trip in which the clock was read.
    assert!((1..=61_000).contains(&left), "{left}");
    assert_eq!(store.release(key, owner).await, Ok(Released::Released));
    assert_eq!(server.run::<i64>(&["DBSIZE"]), 0);
}

#[tokio::test]
async fn a_lock_of_daprd_is_respected() {
    let (server, store) = server_and_store().await;
    server.run::<()>(&["SET", "lock||app1||r2", "other", "EX", "60", "NX"]);
    let key = "lock||app1||r2";
    assert_eq!(store.acquire(key, "me", MINUTE).await, Ok(Acquired::Held));
    assert_eq!(store.release(key, "me").await, Ok(Released::HeldByOther));
    assert_eq!(store.release(key, "other").await, Ok(Released::Released));
}

#[tokio::test]
async fn the_command_of_daprd_respects_a_lock_of_holdfast() {
    let (server, store) = server_and_store().await;
    let key = "lock||app1||r2";
    let of_daprd = ["SET", key, "other", "EX", "60", "NX"];
    assert_granted(store.acquire(key, "me", MINUTE).await);
    assert_eq!(server.run::<Option<String>>(&of_daprd), None);
    assert_eq!(server.run::<String>(&["GET", key]), "me");
    assert_eq!(store.release(key, "me").await, Ok(Released::Released));
    assert_eq!(server.run::<Option<String>>(&of_daprd).as_deref(), Some("OK"));
}

/// No lock in Redis prevents this, so each hold should have an owner of its own.
#[tokio::test]
async fn a_late_unlock_of_an_owner_that_is_reused_ends_the_later_hold() {
    let (server, store) = server_and_store().await;
    assert_granted(store.acquire("k", "me", Duration::from_millis(300)).await);
    eventually("the first hold ends", async || server.run::<i64>(&["EXISTS", "k"]) == 0).await;
    assert_granted(store.acquire("k", "me", MINUTE).await);
    // The release of the first hold.
    assert_eq!(store.release("k", "me").await, Ok(Released::Released));
    assert_granted(store.acquire("k", "you", MINUTE).await);
}

#[tokio::test]
async fn a_lock_expires() {
    let (server, store) = server_and_store().await;
    assert_granted(store.acquire("k", "me", Duration::from_millis(300)).await);
    eventually("the lock expires", async || is_granted(&store.acquire("k", "you", MINUTE).await))
        .await;
    assert_eq!(server.run::<String>(&["GET", "k"]), "you");
    assert_eq!(store.release("k", "me").await, Ok(Released::HeldByOther));
}

#[tokio::test]
async fn a_key_of_another_type_counts_as_held() {
    let (server, store) = server_and_store().await;
    server.run::<()>(&["LPUSH", "k", "x"]);
    assert_eq!(store.acquire("k", "me", MINUTE).await, Ok(Acquired::Held));
    let cause = not_done(store.release("k", "me").await);
    assert!(cause.starts_with(&format!("redis {}: ", server.address())), "{cause}");
    assert!(cause.contains("WRONGTYPE"), "{cause}");
}

#[tokio::test]
async fn a_flushed_script_is_loaded_again() {
    let (server, store) = server_and_store().await;
    for _ in 0..2 {
        assert_granted(store.acquire("k", "me", MINUTE).await);
        assert_eq!(store.release("k", "me").await, Ok(Released::Released));
        server.run::<()>(&["SCRIPT", "FLUSH"]);
    }
}

#[tokio::test]
async fn one_of_many_callers_gets_the_lock() {
    let (_server, store) = server_and_store().await;
    let tries = (0..200).map(|n| {
        let store = &store;
        async move { store.acquire("k", &n.to_string(), MINUTE).await }
    });
    let outcomes = join_all(tries).await;
    assert_eq!(outcomes.iter().filter(|outcome| is_granted(outcome)).count(), 1);
    assert_eq!(outcomes.iter().filter(|outcome| **outcome == Ok(Acquired::Held)).count(), 199);
}

#[tokio::test]
async fn a_closed_store_refuses_calls_and_closes_its_connections() {
    let (server, store) = server_and_store().await;
    store.close().await;
    let closed = format!("redis {}: the store is closed", server.address());
    assert_eq!(store.acquire("k", "me", MINUTE).await, Err(Failure::not_done(closed)));
    eventually("the connections are closed", async || server.clients() == 0).await;
}

#[tokio::test]
async fn locks_are_kept_in_the_configured_database() {
    let server = RedisServer::start();
    let store = connect(&server, &[("redisDB", "3")]).await.unwrap();
    assert_granted(store.acquire("k", "me", MINUTE).await);
    assert_eq!(server.run::<i64>(&["DBSIZE"]), 0);
    assert!(server.run::<String>(&["INFO", "keyspace"]).contains("db3:keys=1"));

    let error = connect(&server, &[("redisDB", "99")]).await.unwrap_err();
    assert!(error.to_string().contains("DB index is out of range (see redisDB)"), "{error}");
}

//! The Redis store's outcomes, and what it leaves in Redis.

use std::time::Duration;

use holdfast::store::{Acquired, Failure, Grant, Released, Store, redis::RedisStore};
use holdfast_tests::{eventually, redis_server::RedisServer};

mod common;
use common::connect;

const GRANTED: Acquired = Acquired::Granted(Grant { fencing_token: None });
const MINUTE: Duration = Duration::from_secs(60);

async fn server_and_store() -> (RedisServer, RedisStore) {
    let server = RedisServer::start();
    let store = connect(&server, &[]).await.expect("a store");
    (server, store)
}

#[tokio::test]
async fn a_lock_is_taken_once_and_released_by_its_owner() {
    let (_server, store) = server_and_store().await;
    assert_eq!(store.acquire("lock||a", "me", MINUTE).await, Ok(GRANTED));
    assert_eq!(store.acquire("lock||a", "me", MINUTE).await, Ok(Acquired::Held));
    assert_eq!(store.acquire("lock||a", "you", MINUTE).await, Ok(Acquired::Held));
    assert_eq!(store.release("lock||a", "you").await, Ok(Released::HeldByOther));
    assert_eq!(store.release("lock||a", "me").await, Ok(Released::Released));
    assert_eq!(store.release("lock||a", "me").await, Ok(Released::Missing));
    assert_eq!(store.acquire("lock||a", "you", MINUTE).await, Ok(GRANTED));
}

#[tokio::test]
async fn key_value_and_time_to_live_are_exact() {
    let (server, store) = server_and_store().await;
    let (key, owner) = ("lock||app ü\r\n||r\0", "own er\r\n\"'\0ß");
    assert_eq!(store.acquire(key, owner, MINUTE).await, Ok(GRANTED));
    assert_eq!(server.run::<Vec<String>>(&["KEYS", "*"]), [key]);
    assert_eq!(server.run::<String>(&["GET", key]), owner);
    let left: i64 = server.run(&["PTTL", key]);
    assert!((1..=60_000).contains(&left), "{left}");
    assert_eq!(store.release(key, owner).await, Ok(Released::Released));
    assert_eq!(server.run::<i64>(&["DBSIZE"]), 0);
}

#[tokio::test]
async fn a_lock_that_daprd_took_is_respected() {
    let (server, store) = server_and_store().await;
    server.run::<()>(&["SET", "lock||app1||r2", "other", "EX", "60", "NX"]);
    let key = "lock||app1||r2";
    assert_eq!(store.acquire(key, "me", MINUTE).await, Ok(Acquired::Held));
    assert_eq!(store.release(key, "me").await, Ok(Released::HeldByOther));
    assert_eq!(store.release(key, "other").await, Ok(Released::Released));
}

#[tokio::test]
async fn a_lock_runs_out_by_itself() {
    let (server, store) = server_and_store().await;
    let (store, key) = (&store, "k");
    assert_eq!(store.acquire(key, "me", Duration::from_millis(300)).await, Ok(GRANTED));
    eventually("the lock runs out", || async {
        store.acquire(key, "you", MINUTE).await == Ok(GRANTED)
    })
    .await;
    assert_eq!(server.run::<String>(&["GET", key]), "you");
    assert_eq!(store.release(key, "me").await, Ok(Released::HeldByOther));
}

#[tokio::test]
async fn a_key_of_another_type_is_no_free_lock() {
    let (server, store) = server_and_store().await;
    server.run::<()>(&["LPUSH", "k", "x"]);
    assert_eq!(store.acquire("k", "me", MINUTE).await, Ok(Acquired::Held));
    let Err(Failure::NotDone { cause }) = store.release("k", "me").await else {
        panic!("a list was released");
    };
    assert!(cause.starts_with(&format!("redis {}: ", server.address())), "{cause}");
    assert!(cause.contains("WRONGTYPE"), "{cause}");
}

#[tokio::test]
async fn a_forgotten_script_is_loaded_again() {
    let (server, store) = server_and_store().await;
    for _ in 0..2 {
        assert_eq!(store.acquire("k", "me", MINUTE).await, Ok(GRANTED));
        assert_eq!(store.release("k", "me").await, Ok(Released::Released));
        server.run::<()>(&["SCRIPT", "FLUSH"]);
    }
}

#[tokio::test]
async fn many_callers_get_one_lock() {
    let (_server, store) = server_and_store().await;
    let tries = (0..200).map(|n| {
        let store = &store;
        async move { store.acquire("k", &n.to_string(), MINUTE).await }
    });
    let outcomes = futures_util::future::join_all(tries).await;
    assert_eq!(outcomes.iter().filter(|o| **o == Ok(GRANTED)).count(), 1);
    assert_eq!(outcomes.iter().filter(|o| **o == Ok(Acquired::Held)).count(), 199);
}

#[tokio::test]
async fn a_closed_store_does_nothing_more() {
    let (server, store) = server_and_store().await;
    store.close().await;
    let closed = format!("redis {}: the store is closed", server.address());
    assert_eq!(store.acquire("k", "me", MINUTE).await, Err(Failure::NotDone { cause: closed }));
    let server = &server;
    eventually("the sockets are closed", || async { server.clients() == 0 }).await;
}

#[tokio::test]
async fn the_database_is_the_one_that_was_set() {
    let server = RedisServer::start();
    let store = connect(&server, &[("redisDB", "3")]).await.unwrap();
    assert_eq!(store.acquire("k", "me", MINUTE).await, Ok(GRANTED));
    assert_eq!(server.run::<i64>(&["DBSIZE"]), 0);
    assert!(server.run::<String>(&["INFO", "keyspace"]).contains("db3:keys=1"));

    let error = connect(&server, &[("redisDB", "99")]).await.unwrap_err();
    assert!(error.to_string().contains("DB index is out of range"), "{error}");
}

//! The view of other clients of the server, and the servers that are accepted.

use std::sync::Arc;

use holdfast::store::Released;

use super::{
    redis::Redis,
    steps::{assert_held, assert_released, not_done, open, refusal, take},
    text::ODD,
};
use crate::{MINUTE, eventually, is_granted, redis_server::RedisServer, redis_store::ONCE};

const SECRET: &str = "s3cret-word";

pub(super) async fn exact(redis: Arc<dyn Redis>) {
    let server = RedisServer::start();
    let store = open(&*redis, &server, &[]).await;
    for text in ODD {
        let (key, owner) = (format!("lock||app||{text}"), text);
        take(&*store, &key, owner).await;
        assert_eq!(server.run::<Vec<String>>(&["KEYS", "*"]), [key.as_str()]);
        assert_eq!(server.run::<String>(&["GET", &key]), owner);
        let left: i64 = server.run(&["PTTL", &key]);
        // A lock may last longer by the round trip in which the clock was read.
        assert!((1..=61_000).contains(&left), "{left}");
        assert_released(&*store, &key, owner, Released::Released).await;
        assert_eq!(server.run::<i64>(&["DBSIZE"]), 0);
    }
}

pub(super) async fn database(redis: Arc<dyn Redis>) {
    let server = RedisServer::start();
    let store = open(&*redis, &server, &[("redisDB", "3")]).await;
    take(&*store, "k", "me").await;
    assert_eq!(server.run::<i64>(&["DBSIZE"]), 0);
    assert!(server.run::<String>(&["INFO", "keyspace"]).contains("db3:keys=1"));
    let cause = refusal(&*redis, &server.address(), &[("redisDB", "99")]).await;
    assert!(cause.contains("DB index is out of range"), "{cause}");
}

pub(super) async fn foreign_lock(redis: Arc<dyn Redis>) {
    let server = RedisServer::start();
    let store = open(&*redis, &server, &[]).await;
    let key = "lock||app1||r";
    server.run::<()>(&["SET", key, "other", "EX", "60", "NX"]);
    assert_held(&*store, key, "me").await;
    assert_released(&*store, key, "me", Released::HeldByOther).await;
    assert_released(&*store, key, "other", Released::Released).await;
}

pub(super) async fn other_type(redis: Arc<dyn Redis>) {
    let server = RedisServer::start();
    let store = open(&*redis, &server, &[]).await;
    server.run::<()>(&["LPUSH", "k", "x"]);
    assert_held(&*store, "k", "me").await;
    let cause = not_done(store.release("k", "me").await);
    assert!(cause.starts_with(&format!("redis {}: ", server.address())), "{cause}");
    assert!(cause.contains("WRONGTYPE"), "{cause}");
    assert_eq!(server.run::<i64>(&["LLEN", "k"]), 1);
}

pub(super) async fn login(redis: Arc<dyn Redis>) {
    let server = RedisServer::start_with_password(SECRET);
    let store = open(&*redis, &server, &[("redisPassword", SECRET)]).await;
    take(&*store, "k", "me").await;

    // A user needs only the commands of a lock.
    let password = format!(">{SECRET}2");
    server.run::<()>(&[
        "ACL", "SETUSER", "locker", "on", &password, "~lock||*", "-@all", "+set", "+get", "+del",
        "+evalsha", "+eval", "+ping",
    ]);
    let user = [("redisUsername", "locker"), ("redisPassword", "s3cret-word2")];
    let store = open(&*redis, &server, &user).await;
    take(&*store, "lock||k", "me").await;
    assert_released(&*store, "lock||k", "me", Released::Released).await;
    let cause = not_done(store.acquire("elsewhere", "me", MINUTE).await);
    assert!(cause.contains("NOPERM"), "{cause}");
}

pub(super) async fn wrong_password(redis: Arc<dyn Redis>) {
    let server = RedisServer::start_with_password("another");
    let wrong = [("redisPassword", SECRET)];
    let cause = refusal(&*redis, &server.address(), &wrong).await;
    assert!(cause.starts_with(&format!("redis {}: WRONGPASS", server.address())), "{cause}");
    assert!(!cause.contains(SECRET), "{cause}");
    let wrong = [("redisUsername", "nobody"), ("redisPassword", SECRET)];
    let cause = refusal(&*redis, &server.address(), &wrong).await;
    assert!(cause.contains("WRONGPASS") && !cause.contains(SECRET), "{cause}");
}

pub(super) async fn no_password(redis: Arc<dyn Redis>) {
    let server = RedisServer::start_with_password(SECRET);
    let cause = refusal(&*redis, &server.address(), &[ONCE]).await;
    assert!(cause.starts_with(&format!("redis {}: NOAUTH", server.address())), "{cause}");
}

pub(super) async fn replicas(redis: Arc<dyn Redis>) {
    let server = RedisServer::start();
    let replica = RedisServer::start();
    replica.run::<()>(&["REPLICAOF", "127.0.0.1", &server.port().to_string()]);
    eventually("the replica is connected", async || {
        server.run::<String>(&["INFO", "replication"]).contains("connected_slaves:1")
    })
    .await;
    let cause = refusal(&*redis, &server.address(), &[]).await;
    assert!(cause.contains("set failover if Redis Sentinel names the server"), "{cause}");

    replica.run::<()>(&["REPLICAOF", "NO", "ONE"]);
    drop(replica);
    eventually("the replica has left", async || {
        server.run::<String>(&["INFO", "replication"]).contains("connected_slaves:0")
    })
    .await;
    let store = open(&*redis, &server, &[]).await;
    assert!(is_granted(&store.acquire("k", "me", MINUTE).await));
}

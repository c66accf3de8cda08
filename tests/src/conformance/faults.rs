//! The answers of a store, and the locks that it leaves behind, when the server or the network fails.

use std::{sync::Arc, time::SystemTime};

use holdfast::store::{Acquired, Failure, Released};

use super::{
    redis::Redis,
    steps::{SOON, assert_released, not_done, open, open_at, refusal, take},
};
use crate::{
    MINUTE, assert_recovers, eventually, free_port, is_granted,
    proxy::Proxy,
    redis_server::RedisServer,
    redis_store::{ONCE, PATIENT},
};

/// The bound of an acquire whose outcome is unknown, and whose cause ends in `words`.
fn open_until(outcome: Result<Acquired, Failure>, words: &str) -> SystemTime {
    match outcome {
        Err(Failure::Unknown(outcome)) if outcome.cause.ends_with(words) => {
            outcome.held_until().expect("a bound")
        }
        other => panic!("{other:?}"),
    }
}

/// Checks that the server's own expiry of a key is not later than `until`.
fn assert_bounds(server: &RedisServer, key: &str, until: SystemTime) {
    let end: i64 = server.run(&["PEXPIRETIME", key]);
    let until = until.duration_since(SystemTime::UNIX_EPOCH).expect("a time after 1970");
    assert!(i128::from(end) <= until.as_millis() as i128, "{end} is after {until:?}");
}

pub(super) async fn nobody_listens(redis: Arc<dyn Redis>) {
    let address = format!("127.0.0.1:{}", free_port());
    let cause = refusal(&*redis, &address, &[ONCE]).await;
    assert_eq!(cause, format!("redis {address}: connection refused"));

    let mut server = RedisServer::start();
    let store = open(&*redis, &server, &[ONCE]).await;
    take(&*store, "k", "me").await;
    server.kill();
    let cause = format!("redis {}: connection refused", server.address());
    let refused = Failure::NotDone(cause);
    eventually("the cause is the refused connection", async || {
        store.acquire("k", "me", MINUTE).await == Err(refused.clone())
            && store.release("k", "me").await == Err(refused.clone())
    })
    .await;
}

pub(super) async fn restart(redis: Arc<dyn Redis>) {
    let mut server = RedisServer::start();
    let store = open(&*redis, &server, &[]).await;
    for _ in 0..2 {
        take(&*store, "k", "me").await;
        server.kill();
        server.restart();
        assert_recovers(&*store).await;
    }
}

pub(super) async fn killed_connections(redis: Arc<dyn Redis>) {
    let server = RedisServer::start();
    let store = open(&*redis, &server, &[]).await;
    for _ in 0..3 {
        assert_recovers(&*store).await;
        server.kill_connections();
    }
    assert_recovers(&*store).await;
}

pub(super) async fn forgotten_script(redis: Arc<dyn Redis>) {
    let server = RedisServer::start();
    let store = open(&*redis, &server, &[]).await;
    for _ in 0..2 {
        take(&*store, "k", "me").await;
        assert_released(&*store, "k", "me", Released::Released).await;
        server.run::<()>(&["SCRIPT", "FLUSH"]);
    }
}

pub(super) async fn loading(redis: Arc<dyn Redis>) {
    let server = RedisServer::start_with(&["--enable-debug-command", "local"]);
    let store = open(&*redis, &server, &[ONCE]).await;
    take(&*store, "held", "me").await;
    // It serves clients while it loads, for about two seconds.
    server.run::<()>(&["DEBUG", "POPULATE", "2000", "key", "1000"]);
    server.run::<()>(&["CONFIG", "SET", "key-load-delay", "1000"]);
    server.run::<()>(&["CONFIG", "SET", "loading-process-events-interval-bytes", "1024"]);
    let server = Arc::new(server);
    let reloading = {
        let server = server.clone();
        tokio::task::spawn_blocking(move || server.run::<()>(&["DEBUG", "RELOAD"]))
    };
    eventually("it is loading", async || {
        let outcome = store.acquire("held", "you", MINUTE).await;
        outcome != Ok(Acquired::Held) && not_done(outcome).contains("LOADING")
    })
    .await;
    let cause = not_done(store.acquire("k", "me", MINUTE).await);
    assert!(cause.starts_with(&format!("redis {}: LOADING", server.address())), "{cause}");
    reloading.await.expect("a reload");
    assert!(!server.exists("k"));
    assert_recovers(&*store).await;
    assert_released(&*store, "held", "me", Released::Released).await;
}

pub(super) async fn read_only(redis: Arc<dyn Redis>) {
    let server = RedisServer::start();
    let store = open(&*redis, &server, &[ONCE]).await;
    take(&*store, "held", "me").await;
    server.run::<()>(&["REPLICAOF", "127.0.0.1", &free_port().to_string()]);
    let cause = not_done(store.acquire("k", "me", MINUTE).await);
    assert!(cause.starts_with(&format!("redis {}: READONLY", server.address())), "{cause}");
    server.run::<()>(&["REPLICAOF", "NO", "ONE"]);
    assert!(!server.exists("k"));
    assert_recovers(&*store).await;
}

pub(super) async fn out_of_memory(redis: Arc<dyn Redis>) {
    let server = RedisServer::start();
    let store = open(&*redis, &server, &[]).await;
    server.run::<()>(&["CONFIG", "SET", "maxmemory", "1"]);
    let cause = not_done(store.acquire("k", "me", MINUTE).await);
    assert!(cause.starts_with(&format!("redis {}: OOM", server.address())), "{cause}");
    server.run::<()>(&["CONFIG", "SET", "maxmemory", "0"]);
    assert!(!server.exists("k"));
    assert_recovers(&*store).await;
}

pub(super) async fn frozen(redis: Arc<dyn Redis>) {
    let server = RedisServer::start();
    let store = open(&*redis, &server, &[SOON, ONCE, ("dialTimeout", "500ms")]).await;
    take(&*store, "held", "me").await;
    server.suspend();
    let until = open_until(store.acquire("k", "me", MINUTE).await, ": no reply within 500ms");
    // The kernel accepts a new connection that the server never answers, so the command is not sent.
    let cause = not_done(store.acquire("other", "me", MINUTE).await);
    assert!(cause.ends_with(": no connection within 500ms"), "{cause}");
    server.resume();
    eventually("the command is carried out", async || server.calls("set") >= 2).await;
    // A store that can give the lock back does so; then the key has no expiry.
    assert_bounds(&server, "k", until);
    assert_recovers(&*store).await;
    assert!(!server.exists("other"));

    let store = open(&*redis, &server, &[SOON, ONCE]).await;
    assert_recovers(&*store).await;
    server.suspend();
    let outcome = store.release("held", "me").await;
    server.resume();
    let cause = format!("redis {}: no reply within 500ms", server.address());
    assert_eq!(outcome, Err(Failure::unknown(cause, None)));
}

pub(super) async fn lost_grant(redis: Arc<dyn Redis>) {
    let server = RedisServer::start();
    let proxy = Proxy::to(server.port()).await;
    let store = open_at(&*redis, &proxy.address(), &[PATIENT]).await;
    assert_recovers(&*store).await;
    let before = server.calls("set");
    proxy.hold_replies();
    let (outcome, ()) = futures_util::join!(store.acquire("k", "me", MINUTE), async {
        eventually("the lock is taken", async || server.exists("k")).await;
        proxy.cut();
    });
    let until = open_until(outcome, ": connection lost");
    assert!(server.exists("k"));
    assert_bounds(&server, "k", until);
    // The owner can find out, and the command was sent once.
    assert_released(&*store, "k", "me", Released::Released).await;
    assert_eq!(server.calls("set") - before, 1);
}

pub(super) async fn late_grant(redis: Arc<dyn Redis>) {
    let server = RedisServer::start();
    let proxy = Proxy::to(server.port()).await;
    let store = open_at(&*redis, &proxy.address(), &[SOON]).await;
    assert_recovers(&*store).await;
    let before = server.calls("set");
    proxy.hold_replies();
    let outcome = store.acquire("k", "me", MINUTE).await;
    let until = open_until(outcome, ": no reply within 500ms");
    assert!(server.exists("k"));
    assert_bounds(&server, "k", until);
    assert_released(&*store, "k", "me", Released::Released).await;
    assert_eq!(server.calls("set") - before, 1);
    assert!(is_granted(&store.acquire("k", "me", MINUTE).await));
}

pub(super) async fn lost_release(redis: Arc<dyn Redis>) {
    let server = RedisServer::start();
    let proxy = Proxy::to(server.port()).await;
    let store = open_at(&*redis, &proxy.address(), &[SOON]).await;
    take(&*store, "k", "me").await;
    proxy.hold_replies();
    let cause = format!("redis {}: no reply within 500ms", proxy.address());
    let unknown = Err(Failure::unknown(cause, None));
    assert_eq!(store.release("k", "me").await, unknown);
    assert_released(&*store, "k", "me", Released::Missing).await;
}

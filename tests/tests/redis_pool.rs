//! What the settings of the Redis store's pool and timeouts do, as the server sees it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use futures_util::future::join_all;
use holdfast::store::{Acquired, Failure, Grant, Store, redis::RedisStore};
use holdfast_tests::{eventually, redis_server::RedisServer};
use tokio::net::TcpListener;

mod common;
use common::{connect, connect_to};

const GRANTED: Acquired = Acquired::Granted(Grant { fencing_token: None });
const MINUTE: Duration = Duration::from_secs(60);
const PATIENT: (&str, &str) = ("readTimeout", "60s");

/// No write is carried out from now on; connecting and asking still work.
fn pause_writes(server: &RedisServer) {
    server.run::<()>(&["CLIENT", "PAUSE", "600000", "WRITE"]);
}

async fn acquire_many(store: &RedisStore, count: usize) -> Vec<Result<Acquired, Failure>> {
    join_all((0..count).map(|n| async move {
        let key = format!("k{n}");
        store.acquire(&key, "me", MINUTE).await
    }))
    .await
}

fn ids(server: &RedisServer) -> Vec<String> {
    let clients: String = server.run(&["CLIENT", "LIST"]);
    let own = |line: &&str| !line.contains("cmd=client");
    clients
        .lines()
        .filter(own)
        .filter_map(|line| line.split(' ').next().map(str::to_owned))
        .collect()
}

#[tokio::test]
async fn many_callers_share_one_socket() {
    let server = RedisServer::start();
    let store = connect(&server, &[PATIENT]).await.unwrap();
    pause_writes(&server);
    let (outcomes, ()) = tokio::join!(acquire_many(&store, 256), async {
        let server = &server;
        eventually("they are all there", || async {
            server.run::<String>(&["CLIENT", "LIST"]).contains("cmd=set")
        })
        .await;
        assert_eq!(server.clients(), 1);
        server.run::<()>(&["CLIENT", "UNPAUSE"]);
    });
    assert!(outcomes.iter().all(|outcome| *outcome == Ok(GRANTED)));
    assert_eq!(server.clients(), 1);
}

#[tokio::test]
async fn busy_sockets_get_company_up_to_pool_size() {
    let server = RedisServer::start();
    let settings = [PATIENT, ("poolSize", "2"), ("poolTimeout", "200ms")];
    let store = connect(&server, &settings).await.unwrap();
    let refusal = Failure::NotDone {
        cause: format!("redis {}: no connection was free within 200ms", server.address()),
    };
    pause_writes(&server);
    // Twice 256 have room; the others wait for poolTimeout and are then told so.
    let refused = AtomicUsize::new(0);
    let callers = join_all((0..600).map(|n| {
        let (store, refused, refusal) = (&store, &refused, &refusal);
        async move {
            let outcome = store.acquire(&format!("k{n}"), "me", MINUTE).await;
            if outcome.as_ref().err() == Some(refusal) {
                refused.fetch_add(1, Ordering::SeqCst);
            }
            outcome == Ok(GRANTED)
        }
    }));
    let (granted, ()) = tokio::join!(callers, async {
        let (server, refused) = (&server, &refused);
        eventually("88 are refused", || async { refused.load(Ordering::SeqCst) == 88 }).await;
        assert_eq!(server.clients(), 2);
        server.run::<()>(&["CLIENT", "UNPAUSE"]);
    });
    assert_eq!(granted.into_iter().filter(|granted| *granted).count(), 512);
}

#[tokio::test]
async fn min_idle_conns_are_opened_at_start_and_kept() {
    let server = RedisServer::start();
    let _store = connect(&server, &[("minIdleConns", "3")]).await.unwrap();
    let server = &server;
    eventually("there are three", || async { server.clients() == 3 }).await;
    let before = ids(server);
    server.run::<()>(&["CLIENT", "KILL", "TYPE", "normal"]);
    eventually("three others are there", || async {
        let now = ids(server);
        now.len() == 3 && now.iter().all(|id| !before.contains(id))
    })
    .await;
}

#[tokio::test]
async fn idle_sockets_are_closed_down_to_the_minimum() {
    let server = RedisServer::start();
    let settings =
        [PATIENT, ("idleTimeout", "100ms"), ("idleCheckFrequency", "20ms"), ("minIdleConns", "1")];
    let store = connect(&server, &settings).await.unwrap();
    pause_writes(&server);
    let server = &server;
    let (outcomes, ()) = tokio::join!(acquire_many(&store, 600), async {
        eventually("there is another", || async { server.clients() == 2 }).await;
        server.run::<()>(&["CLIENT", "UNPAUSE"]);
    });
    assert!(outcomes.iter().all(|outcome| *outcome == Ok(GRANTED)));
    eventually("one is left", || async { server.clients() == 1 }).await;
    assert_eq!(store.acquire("later", "me", MINUTE).await, Ok(GRANTED));

    let store = connect(server, &settings[..3]).await.unwrap();
    eventually("none but the other store's is left", || async { server.clients() == 1 }).await;
    assert_eq!(store.acquire("last", "me", MINUTE).await, Ok(GRANTED));
}

#[tokio::test]
async fn old_sockets_are_replaced() {
    let server = RedisServer::start();
    let settings = [("maxConnAge", "100ms"), ("idleCheckFrequency", "20ms"), ("minIdleConns", "1")];
    let store = connect(&server, &settings).await.unwrap();
    let (server, first) = (&server, ids(&server));
    eventually("another socket is there", || async {
        let now = ids(server);
        !now.is_empty() && now != first
    })
    .await;
    assert_eq!(store.acquire("k", "me", MINUTE).await, Ok(GRANTED));
}

#[tokio::test]
async fn a_write_that_does_not_get_through_is_given_up() {
    let server = RedisServer::start();
    let settings = [PATIENT, ("writeTimeout", "200ms")];
    let store = connect(&server, &settings).await.unwrap();
    server.suspend();
    // More than the socket's buffers take.
    let owner = "x".repeat(64 << 20);
    let outcome = store.acquire("k", &owner, MINUTE).await;
    let Err(Failure::Unknown { cause, .. }) = outcome else {
        panic!("{outcome:?}");
    };
    assert_eq!(cause, format!("redis {}: sending timed out", server.address()));
    server.resume();
}

#[tokio::test]
async fn connecting_is_tried_as_often_as_the_settings_say() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let accepted = Arc::new(AtomicUsize::new(0));
    let count = accepted.clone();
    // A server that hangs up at once.
    let server = tokio::spawn(async move {
        while listener.accept().await.is_ok() {
            count.fetch_add(1, Ordering::SeqCst);
        }
    });
    for (retries, attempts) in [("-1", 1), ("1", 2), ("5", 6), ("0", 4)] {
        accepted.store(0, Ordering::SeqCst);
        let settings = [("redisMaxRetries", retries), ("redisMaxRetryInterval", "1ms")];
        assert!(connect_to(&address, &settings).await.is_err());
        assert_eq!(accepted.load(Ordering::SeqCst), attempts, "{retries}");
    }
    server.abort();
}

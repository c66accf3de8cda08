//! The effect of the settings of the library's connections, as the server sees it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use futures_util::future::join_all;
use holdfast::store::{Acquired, Failure, Store, redis::RedisStore};
use holdfast_tests::{
    MINUTE, assert_granted, eventually, is_granted,
    redis_server::RedisServer,
    redis_store::{ONCE, PATIENT, connect, connect_to, unconnected},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    time::{Instant, sleep},
};

use crate::{log::Log, not_done};

async fn acquire_many(store: &RedisStore, count: usize) -> Vec<Result<Acquired, Failure>> {
    join_all((0..count).map(|n| async move {
        let key = format!("k{n}");
        store.acquire(&key, "me", MINUTE).await
    }))
    .await
}

/// The ids of the connections, without that of the question.
fn connection_ids(server: &RedisServer) -> Vec<String> {
    let clients: String = server.run(&["CLIENT", "LIST"]);
    let own = |line: &&str| !line.contains("cmd=client");
    clients
        .lines()
        .filter(own)
        .filter_map(|line| line.split(' ').next().map(str::to_owned))
        .collect()
}

#[tokio::test]
async fn many_callers_share_one_connection() {
    let server = RedisServer::start();
    let store = connect(&server, &[PATIENT]).await.unwrap();
    server.pause_writes();
    let (outcomes, ()) = tokio::join!(acquire_many(&store, 256), async {
        eventually("the commands are sent", async || {
            server.run::<String>(&["CLIENT", "LIST"]).contains("cmd=set")
        })
        .await;
        assert_eq!(server.clients(), 1);
        server.unpause();
    });
    assert!(outcomes.iter().all(is_granted));
    assert_eq!(server.clients(), 1);
}

#[tokio::test]
async fn a_store_that_is_waited_at_has_one_connection_beyond_pool_size() {
    let server = RedisServer::start();
    let store = connect(&server, &[("poolSize", "1")]).await.unwrap();
    assert_eq!(server.clients(), 1);
    let watched = [store.watch("a").await, store.watch("b").await];
    assert!(watched.iter().all(Option::is_some));
    let clients: String = server.run(&["CLIENT", "LIST"]);
    assert_eq!((server.clients(), clients.matches("flags=t ").count()), (2, 1), "{clients}");
}

#[tokio::test]
async fn the_pool_grows_to_pool_size_and_then_refuses_calls() {
    let server = RedisServer::start();
    let settings = [PATIENT, ("poolSize", "2"), ("poolTimeout", "200ms")];
    let store = connect(&server, &settings).await.unwrap();
    let refusal = Failure::not_done(format!(
        "redis {}: no connection was free within 200ms",
        server.address()
    ));
    server.pause_writes();
    // Each connection takes 256 calls. The others are refused after poolTimeout.
    let refused = AtomicUsize::new(0);
    let callers = join_all((0..600).map(|n| {
        let (store, refused, refusal) = (&store, &refused, &refusal);
        async move {
            let outcome = store.acquire(&format!("k{n}"), "me", MINUTE).await;
            if outcome.as_ref().err() == Some(refusal) {
                refused.fetch_add(1, Ordering::SeqCst);
            }
            is_granted(&outcome)
        }
    }));
    let (granted, ()) = tokio::join!(callers, async {
        eventually("88 are refused", async || refused.load(Ordering::SeqCst) == 88).await;
        assert_eq!(server.clients(), 2);
        server.unpause();
    });
    assert_eq!(granted.into_iter().filter(|granted| *granted).count(), 512);
}

#[tokio::test]
async fn min_idle_conns_are_opened_at_the_start_and_kept() {
    let server = RedisServer::start();
    let _store = connect(&server, &[("minIdleConns", "3")]).await.unwrap();
    eventually("there are three", async || server.clients() == 3).await;
    let before = connection_ids(&server);
    server.kill_connections();
    eventually("there are three others", async || {
        let now = connection_ids(&server);
        now.len() == 3 && now.iter().all(|id| !before.contains(id))
    })
    .await;
}

#[tokio::test]
async fn idle_connections_are_closed_down_to_min_idle_conns() {
    let server = RedisServer::start();
    let settings =
        [PATIENT, ("idleTimeout", "100ms"), ("idleCheckFrequency", "20ms"), ("minIdleConns", "1")];
    let store = connect(&server, &settings).await.unwrap();
    server.pause_writes();
    let (outcomes, ()) = tokio::join!(acquire_many(&store, 600), async {
        eventually("there are two", async || server.clients() == 2).await;
        server.unpause();
    });
    assert!(outcomes.iter().all(is_granted));
    eventually("one is left", async || server.clients() == 1).await;
    assert_granted(store.acquire("later", "me", MINUTE).await);

    let store = connect(&server, &settings[..3]).await.unwrap();
    eventually("only the other store's is left", async || server.clients() == 1).await;
    assert_granted(store.acquire("last", "me", MINUTE).await);
}

#[tokio::test]
async fn connections_older_than_max_conn_age_are_replaced() {
    let server = RedisServer::start();
    let settings = [("maxConnAge", "100ms"), ("idleCheckFrequency", "20ms"), ("minIdleConns", "1")];
    let store = connect(&server, &settings).await.unwrap();
    let first = connection_ids(&server);
    eventually("there is another connection", async || {
        let now = connection_ids(&server);
        !now.is_empty() && now != first
    })
    .await;
    assert_granted(store.acquire("k", "me", MINUTE).await);
}

#[tokio::test]
async fn a_write_that_is_blocked_times_out() {
    let server = RedisServer::start();
    let settings = [ONCE, PATIENT, ("writeTimeout", "200ms")];
    let store = connect(&server, &settings).await.unwrap();
    server.suspend();
    // Larger than the socket's buffers.
    let owner = "x".repeat(64 << 20);
    // The server cannot run a command that has not come to its end.
    let cause = not_done(store.acquire("k", &owner, MINUTE).await);
    assert_eq!(cause, format!("redis {}: sending timed out", server.address()));
    server.resume();
}

#[tokio::test]
async fn redis_max_retries_is_the_number_of_further_attempts_to_connect() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let accepted = Arc::new(AtomicUsize::new(0));
    let count = accepted.clone();
    // A server that closes every connection at once.
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

#[tokio::test]
async fn a_server_that_closes_connections_at_once_is_not_called_without_a_pause() {
    const CONNECTIONS: usize = 12;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let (log, _guard) = Log::start();
    let store = unconnected(&address, &[ONCE, ("minIdleConns", "1")]);
    // Answers the questions about the server, and closes the connection a little later.
    let serving = async {
        let mut accepted = Vec::new();
        while accepted.len() < CONNECTIONS {
            let (mut client, _) = listener.accept().await.unwrap();
            accepted.push(Instant::now());
            let questions = b"-ERR unknown command\r\n".repeat(3);
            for (last, replies) in
                [(&b"PING\r\n"[..], &b"+PONG\r\n"[..]), (b"TIME\r\n", &questions)]
            {
                let (mut received, mut buffer) = (Vec::new(), vec![0; 4096]);
                while !received.ends_with(last) {
                    let read = client.read(&mut buffer).await.unwrap();
                    assert_ne!(read, 0, "{}", log.text());
                    received.extend_from_slice(&buffer[..read]);
                }
                client.write_all(replies).await.unwrap();
            }
            sleep(Duration::from_millis(2)).await;
        }
        accepted
    };
    let (accepted, outcome) = tokio::join!(serving, store.acquire("k", "me", MINUTE));
    assert!(outcome.is_err(), "{outcome:?}");
    // The first connection was that of the call, and a little time may pass before one is accepted.
    let refilled = accepted[CONNECTIONS - 1] - accepted[1];
    assert!(refilled >= Duration::from_millis(900), "{refilled:?}");
    let text = log.text();
    assert_eq!(text.matches("closes connections as soon as they are open").count(), 1, "{text}");
}

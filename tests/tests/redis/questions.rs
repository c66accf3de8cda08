//! The questions to a server when a connection is opened, and the effect of the answers, in both stores.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use holdfast::store::{Failure, Released, Store};
use holdfast_tests::{
    MINUTE, assert_granted, eventually, free_port, is_granted,
    proxy::Proxy,
    redis_server::RedisServer,
    redis_store::{ONCE, Setting, connect, connect_to, unconnected},
};

use crate::{QUICK_RETRIES, adapter::Adapter, log::Log, narrow_proxy::NarrowProxy, not_done};

/// Tries for longer than any test takes.
const PERSISTENT: [Setting; 3] =
    [QUICK_RETRIES, ("redisMaxRetries", "100000"), ("dialTimeout", "60s")];

async fn assert_works(store: &dyn Store) {
    assert_granted(store.acquire("lock||k", "me", MINUTE).await);
    assert_eq!(store.release("lock||k", "me").await, Ok(Released::Released));
}

/// Waits until new connections are refused, because their server is a replica.
async fn assert_is_refused_as_a_replica(store: &dyn Store, server: &RedisServer) {
    server.run::<()>(&["REPLICAOF", "127.0.0.1", &free_port().to_string()]);
    server.kill_connections();
    eventually("the replica is refused", async || {
        let outcome = store.acquire("later", "me", MINUTE).await;
        matches!(outcome, Err(Failure::NotDone(cause)) if cause.contains("the server is a replica"))
    })
    .await;
}

#[tokio::test]
async fn a_proxy_that_closes_on_what_it_does_not_know_is_asked_nothing() {
    let server = RedisServer::start();
    let unknown = ["INFO", "SCRIPT", "TIME", "EVALSHA", "HELLO", "CLIENT"];
    let proxy = NarrowProxy::start(server.port(), &unknown).await;
    let store = connect_to(&proxy.address(), &[ONCE]).await.unwrap();
    let component = Adapter::with_settings(1, &[("redisHost", &proxy.address()), ONCE]).await;
    let both: [&dyn Store; 2] = [&store, &component];
    for store in both {
        server.forget_calls();
        assert_works(store).await;
        assert_eq!((server.calls("evalsha"), server.calls("eval")), (0, 1));
    }
}

#[tokio::test]
async fn a_server_that_has_answered_is_never_taken_for_one_that_cannot() {
    let server = RedisServer::start();
    let proxy = NarrowProxy::start(server.port(), &[]).await;
    let store = connect_to(&proxy.address(), &[ONCE]).await.unwrap();
    let component = Adapter::with_settings(1, &[("redisHost", &proxy.address()), ONCE]).await;
    assert_works(&component).await;
    // All connections are lost when they ask.
    proxy.forget_only(&["INFO", "SCRIPT", "TIME"]);
    server.kill_connections();
    let both: [&dyn Store; 2] = [&store, &component];
    for store in both {
        eventually("its connection is lost", async || {
            matches!(store.acquire("k", "me", MINUTE).await, Err(Failure::NotDone(_)))
        })
        .await;
        for _ in 0..3 {
            let cause = not_done(store.acquire("k", "me", MINUTE).await);
            assert!(cause.ends_with(": connection lost"), "{cause}");
        }
    }
    proxy.forget_only(&[]);
    server.forget_calls();
    for store in both {
        eventually("it works again", async || is_granted(&store.acquire("k", "me", MINUTE).await))
            .await;
        assert!(server.calls("info") > 0 && server.calls("time") > 0);
        assert_eq!(store.release("k", "me").await, Ok(Released::Released));
        server.forget_calls();
    }
    for store in both {
        assert_is_refused_as_a_replica(store, &server).await;
    }
}

#[tokio::test]
async fn a_server_that_seems_to_close_at_first_is_asked_again() {
    let server = RedisServer::start();
    let proxy = NarrowProxy::start(server.port(), &["INFO"]).await;
    let store = connect_to(&proxy.address(), &[ONCE]).await.unwrap();
    let component = Adapter::with_settings(1, &[("redisHost", &proxy.address()), ONCE]).await;
    assert_works(&component).await;
    proxy.forget_only(&[]);
    let both: [&dyn Store; 2] = [&store, &component];
    for store in both {
        assert_is_refused_as_a_replica(store, &server).await;
    }
}

/// A temporary error says nothing about the server: a replica stays a replica.
#[tokio::test]
async fn a_server_that_cannot_answer_now_is_not_accepted_unasked() {
    const NONSENSE: &str = "unexpected reply from the server";
    for (instead, cause) in [
        ("-BUSY Redis is busy running a script.\r\n", "BUSY Redis is busy running a script."),
        ("-LOADING the dataset\r\n", "LOADING the dataset"),
        ("-upstream failure\r\n", "upstream failure"),
        (":1\r\n", NONSENSE),
        ("+OK\r\n", NONSENSE),
    ] {
        let server = RedisServer::start();
        let proxy = NarrowProxy::start_with(server.port(), &[], instead).await;
        let store = connect_to(&proxy.address(), &[ONCE]).await.unwrap();
        let component = Adapter::with_settings(1, &[("redisHost", &proxy.address()), ONCE]).await;
        let both: [&dyn Store; 2] = [&store, &component];
        for store in both {
            assert_works(store).await;
        }
        proxy.forget_only(&["INFO"]);
        server.run::<()>(&["REPLICAOF", "127.0.0.1", &free_port().to_string()]);
        server.kill_connections();
        for store in both {
            eventually("it is asked anew", async || {
                let outcome = store.acquire("k", "me", MINUTE).await;
                matches!(outcome, Err(Failure::NotDone(named)) if named.contains(cause))
            })
            .await;
        }
        proxy.forget_only(&[]);
        for store in both {
            assert_is_refused_as_a_replica(store, &server).await;
        }
    }
}

#[tokio::test]
async fn a_call_waits_for_its_server_for_longer_than_for_a_place_on_a_connection() {
    let mut server = RedisServer::start();
    let settings = [&PERSISTENT[..], &[("poolTimeout", "50ms")]].concat();
    let host = server.address();
    let store = unconnected(&host, &settings);
    let settings = [&settings[..], &[("redisHost", &host)]].concat();
    let component = Adapter::with_settings(1, &settings).await;
    server.kill();
    let late = async {
        // So that the shorter time is over.
        tokio::time::sleep(Duration::from_millis(500)).await;
        server.restart();
    };
    let (one, other, ()) =
        tokio::join!(store.acquire("k", "me", MINUTE), component.acquire("l", "me", MINUTE), late);
    assert_granted(one);
    assert_granted(other);
}

#[tokio::test]
async fn a_call_goes_on_once_a_replica_is_promoted() {
    let server = RedisServer::start();
    let host = server.address();
    let store = unconnected(&host, &PERSISTENT);
    let settings = [&PERSISTENT[..], &[("redisHost", &host)]].concat();
    let component = Adapter::with_settings(1, &settings).await;
    let both: [&dyn Store; 2] = [&store, &component];
    for (store, key) in both.into_iter().zip(["k", "l"]) {
        server.run::<()>(&["REPLICAOF", "127.0.0.1", &free_port().to_string()]);
        server.forget_calls();
        let (outcome, ()) = tokio::join!(store.acquire(key, "me", MINUTE), async {
            eventually("it was refused", async || server.calls("ping") >= 2).await;
            server.run::<()>(&["REPLICAOF", "NO", "ONE"]);
        });
        assert_granted(outcome);
    }
}

#[tokio::test]
async fn a_storm_of_kills_does_not_end_the_questions() {
    const CALLS: usize = 300;
    let server = Arc::new(RedisServer::start());
    let store = connect(&server, &[QUICK_RETRIES]).await.unwrap();
    let over = Arc::new(AtomicBool::new(false));
    let (killed, until) = (server.clone(), over.clone());
    let storm = thread::spawn(move || {
        while !until.load(Ordering::SeqCst) {
            // It closes the connection of the next command, too.
            let _ = killed.try_command::<()>(&["CLIENT", "KILL", "TYPE", "normal"]);
        }
    });
    for call in 0..CALLS {
        // The outcome does not matter.
        let _ = store.acquire(&call.to_string(), "me", MINUTE).await;
    }
    over.store(true, Ordering::SeqCst);
    storm.join().unwrap();
    server.forget_calls();
    server.kill_connections();
    eventually("it works again", async || is_granted(&store.acquire("k", "me", MINUTE).await))
        .await;
    assert!(server.calls("info") > 0 && server.calls("time") > 0);
    assert_is_refused_as_a_replica(&store, &server).await;
}

#[tokio::test]
async fn a_question_that_closes_the_connection_costs_only_its_answer() {
    let server = RedisServer::start_with(&["--appendonly", "yes"]);
    for (unknown, warnings) in [("TIME", 1), ("SCRIPT", 0), ("CONFIG", 0)] {
        let proxy = NarrowProxy::start(server.port(), &[unknown]).await;
        let (log, guard) = Log::start();
        let store = connect_to(&proxy.address(), &[ONCE]).await.unwrap();
        drop(guard);
        let text = log.text();
        let warnings = warnings + usize::from(unknown != "CONFIG");
        assert_eq!(text.matches("WARN").count(), warnings, "{unknown}: {text}");
        assert!(!text.contains("does not describe itself"), "{text}");
        server.forget_calls();
        assert_works(&store).await;
        assert_eq!(server.calls("evalsha"), u64::from(unknown != "SCRIPT"), "{unknown}");
        assert_eq!(server.calls("time") > 0, unknown != "TIME", "{unknown}");
        let component = Adapter::with_settings(1, &[("redisHost", &proxy.address()), ONCE]).await;
        server.forget_calls();
        assert_works(&component).await;
        assert_eq!(server.calls("evalsha"), u64::from(unknown != "SCRIPT"), "{unknown}");
    }
}

#[tokio::test]
async fn what_a_server_says_of_itself_counts_though_another_question_closes_the_connection() {
    let replica = RedisServer::start_with(&["--appendonly", "yes"]);
    replica.run::<()>(&["REPLICAOF", "127.0.0.1", &free_port().to_string()]);
    for unknown in ["TIME", "SCRIPT", "CONFIG"] {
        let proxy = NarrowProxy::start(replica.port(), &[unknown]).await;
        let error = connect_to(&proxy.address(), &[ONCE]).await.unwrap_err().to_string();
        assert!(error.ends_with("the server is a replica, which cannot take locks"), "{error}");
        let component = Adapter::with_settings(1, &[("redisHost", &proxy.address()), ONCE]).await;
        let cause = not_done(component.acquire("k", "me", MINUTE).await);
        assert!(cause.ends_with("the server is a replica, which cannot take locks"), "{cause}");
    }
}

#[tokio::test]
async fn a_server_that_keeps_no_locks_safely_is_refused_by_later_connections_too() {
    let good = RedisServer::start();
    let (master, replica) = (RedisServer::start(), RedisServer::start());
    replica.run::<()>(&["REPLICAOF", "127.0.0.1", &master.port().to_string()]);
    eventually("the replica is connected", async || {
        master.run::<String>(&["INFO", "replication"]).contains("connected_slaves:1")
    })
    .await;
    let node = RedisServer::start_with(&["--cluster-enabled", "yes"]);

    let proxy = Proxy::to(good.port()).await;
    let address = proxy.address();
    let store = connect_to(&address, &[ONCE, QUICK_RETRIES]).await.unwrap();
    let settings = [("redisHost", &*address), ONCE, QUICK_RETRIES];
    let component = Adapter::with_settings(1, &settings).await;
    let both: [&dyn Store; 2] = [&store, &component];
    for (unfit, words) in [
        (&master, "the server has 1 connected replica"),
        (&replica, "the server is a replica"),
        (&node, "the server is a node of a Redis Cluster"),
    ] {
        proxy.lead_to(good.port());
        proxy.cut();
        for store in both {
            eventually("it works", async || store.inspect("k").await == Ok(None)).await;
        }
        proxy.lead_to(unfit.port());
        proxy.cut();
        for store in both {
            eventually("it is refused", async || {
                let outcome = store.acquire("later", "me", MINUTE).await;
                matches!(outcome, Err(Failure::NotDone(cause)) if cause.contains(words))
            })
            .await;
        }
        assert_eq!((unfit.calls("set"), unfit.calls("eval")), (0, 0), "{words}");
    }
}

#[tokio::test]
async fn nonsense_in_place_of_an_answer_is_an_error() {
    let server = RedisServer::start();
    for (unknown, nonsense) in
        [("INFO", "garbage\r\n"), ("INFO", "$999999999999\r\n"), ("TIME", "garbage\r\n")]
    {
        let proxy = NarrowProxy::start_with(server.port(), &[unknown], nonsense).await;
        let error = connect_to(&proxy.address(), &[ONCE]).await.unwrap_err().to_string();
        assert!(error.ends_with(": unexpected reply from the server"), "{error}");
        let component = Adapter::with_settings(1, &[("redisHost", &proxy.address()), ONCE]).await;
        let cause = not_done(component.acquire("k", "me", MINUTE).await);
        assert!(cause.ends_with(": unexpected reply from the server"), "{cause}");
    }
}

#[tokio::test]
async fn a_clock_that_makes_no_sense_at_first_ends_the_connection_and_is_asked_for_again() {
    const NONSENSE: &str = ": unexpected reply from the server";
    let server = RedisServer::start();
    for instead in [":1\r\n", "+OK\r\n", "$-1\r\n", "*2\r\n$1\r\n1\r\n$1\r\nx\r\n"] {
        let proxy = NarrowProxy::start_with(server.port(), &["TIME"], instead).await;
        let error = connect_to(&proxy.address(), &[ONCE]).await.unwrap_err().to_string();
        assert!(error.ends_with(NONSENSE), "{instead:?}: {error}");
        let store = unconnected(&proxy.address(), &[ONCE]);
        let component = Adapter::with_settings(1, &[("redisHost", &proxy.address()), ONCE]).await;
        let both: [&dyn Store; 2] = [&store, &component];
        server.forget_calls();
        for store in both {
            let cause = not_done(store.acquire("lock||k", "me", MINUTE).await);
            assert!(cause.ends_with(NONSENSE), "{instead:?}: {cause}");
        }
        assert_eq!(server.calls("set"), 0, "{instead:?}");
        proxy.forget_only(&[]);
        for store in both {
            server.forget_calls();
            assert_works(store).await;
            assert!(server.calls("time") > 0, "{instead:?}");
        }
    }
}

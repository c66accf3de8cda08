//! What the Redis store says, and what it leaves behind, when Redis or the network fails it.

use std::{
    fs,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    time::{Duration, SystemTime},
};

use holdfast::store::{Acquired, Failure, Grant, Released, Store, redis::RedisStore};
use holdfast_tests::{
    eventually,
    proxy::Proxy,
    redis_server::{RedisServer, free_port},
};

mod common;
use common::{connect, connect_to};

const GRANTED: Acquired = Acquired::Granted(Grant { fencing_token: None });
const MINUTE: Duration = Duration::from_secs(60);
const SOON: (&str, &str) = ("readTimeout", "1s");
const PATIENT: (&str, &str) = ("readTimeout", "60s");
const ONCE: (&str, &str) = ("redisMaxRetries", "-1");
const BRISK: (&str, &str) = ("redisMaxRetryInterval", "20ms");

fn calls(server: &RedisServer, command: &str) -> u64 {
    let stats: String = server.run(&["INFO", "commandstats"]);
    stats
        .lines()
        .find_map(|line| line.strip_prefix(&format!("cmdstat_{command}:calls=")))
        .and_then(|rest| rest.split(',').next()?.parse().ok())
        .unwrap_or(0)
}

fn exists(server: &RedisServer, key: &str) -> bool {
    server.run::<bool>(&["EXISTS", key])
}

/// No write is carried out from now on; connecting and asking still work.
fn pause_writes(server: &RedisServer) {
    server.run::<()>(&["CLIENT", "PAUSE", "600000", "WRITE"]);
}

fn cause(outcome: Result<Acquired, Failure>) -> String {
    match outcome {
        Err(Failure::NotDone { cause }) => cause,
        other => panic!("{other:?}"),
    }
}

async fn assert_recovers(store: &RedisStore) {
    eventually("the store works again", || async {
        store.acquire("recovers", "me", MINUTE).await == Ok(GRANTED)
    })
    .await;
    assert_eq!(store.release("recovers", "me").await, Ok(Released::Released));
}

#[tokio::test]
async fn a_frozen_server_leaves_the_outcome_open_and_its_late_grant_is_given_back() {
    let server = RedisServer::start();
    let store = connect(&server, &[SOON, ("dialTimeout", "1s")]).await.unwrap();
    server.suspend();
    let before = SystemTime::now();
    let outcome = store.acquire("k", "me", MINUTE).await;
    let Err(Failure::Unknown { cause, held_until: Some(until) }) = outcome else {
        panic!("{outcome:?}");
    };
    assert_eq!(cause, format!("redis {}: no reply within 1s", server.address()));
    assert!(until >= before + MINUTE);
    server.resume();
    let server = &server;
    eventually("the late grant is given back", || async {
        calls(server, "set") == 1 && !exists(server, "k")
    })
    .await;
    assert_recovers(&store).await;
}

#[tokio::test]
async fn a_lock_taken_for_a_caller_that_has_gone_is_given_back() {
    let server = RedisServer::start();
    let store = connect(&server, &[PATIENT]).await.unwrap();
    pause_writes(&server);
    let short = Duration::from_millis(20);
    let gone = tokio::time::timeout(short, store.acquire("k", "me", MINUTE)).await;
    assert!(gone.is_err());
    server.run::<()>(&["CLIENT", "UNPAUSE"]);
    let server = &server;
    eventually("the lock is given back", || async {
        calls(server, "set") == 1 && !exists(server, "k")
    })
    .await;
}

#[tokio::test]
async fn closing_waits_for_what_is_to_be_given_back() {
    let server = RedisServer::start();
    let store = connect(&server, &[PATIENT]).await.unwrap();
    pause_writes(&server);
    let short = Duration::from_millis(20);
    let gone = tokio::time::timeout(short, store.acquire("k", "me", MINUTE)).await;
    assert!(gone.is_err());
    server.run::<()>(&["CLIENT", "UNPAUSE"]);
    store.close().await;
    assert_eq!((calls(&server, "set"), exists(&server, "k")), (1, false));
}

#[tokio::test]
async fn a_release_is_finished_though_its_caller_has_gone() {
    let server = RedisServer::start();
    let store = connect(&server, &[PATIENT]).await.unwrap();
    assert_eq!(store.acquire("k", "me", MINUTE).await, Ok(GRANTED));
    pause_writes(&server);
    let short = Duration::from_millis(20);
    let gone = tokio::time::timeout(short, store.release("k", "me")).await;
    assert!(gone.is_err());
    server.run::<()>(&["CLIENT", "UNPAUSE"]);
    let server = &server;
    eventually("the lock is released", || async { !exists(server, "k") }).await;
}

#[tokio::test]
async fn a_lock_whose_reply_is_late_is_given_back() {
    let server = RedisServer::start();
    let proxy = Proxy::to(server.port()).await;
    let store = connect_to(&proxy.address(), &[SOON]).await.unwrap();
    proxy.hold_replies();
    let outcome = store.acquire("k", "me", MINUTE).await;
    assert!(matches!(outcome, Err(Failure::Unknown { .. })), "{outcome:?}");
    assert_eq!(server.run::<String>(&["GET", "k"]), "me");
    proxy.let_replies_through();
    let server = &server;
    eventually("the lock is given back", || async { !exists(server, "k") }).await;
    assert_eq!(calls(server, "set"), 1);
}

#[tokio::test]
async fn a_lock_whose_reply_is_lost_is_neither_taken_twice_nor_denied() {
    let server = RedisServer::start();
    let proxy = Proxy::to(server.port()).await;
    let store = connect_to(&proxy.address(), &[PATIENT]).await.unwrap();
    proxy.hold_replies();
    let (outcome, ()) = tokio::join!(store.acquire("k", "me", MINUTE), async {
        eventually("the lock is taken", || async { exists(&server, "k") }).await;
        proxy.cut();
    });
    let Err(Failure::Unknown { cause, held_until: Some(until) }) = outcome else {
        panic!("{outcome:?}");
    };
    assert_eq!(cause, format!("redis {}: connection lost", proxy.address()));
    let left: u64 = server.run(&["PTTL", "k"]);
    assert!(SystemTime::now() + Duration::from_millis(left) <= until);
    assert_eq!(calls(&server, "set"), 1);
    assert_eq!(store.release("k", "me").await, Ok(Released::Released));
}

#[tokio::test]
async fn a_late_grant_does_not_end_the_owners_next_hold() {
    let server = RedisServer::start();
    let proxy = Proxy::to(server.port()).await;
    let store = connect_to(&proxy.address(), &[SOON]).await.unwrap();
    proxy.hold_replies();
    let outcome = store.acquire("k", "me", MINUTE).await;
    assert!(matches!(outcome, Err(Failure::Unknown { .. })), "{outcome:?}");
    assert_eq!(store.release("k", "me").await, Ok(Released::Released));
    assert_eq!(store.acquire("k", "me", MINUTE).await, Ok(GRANTED));
    proxy.let_replies_through();
    store.close().await;
    assert_eq!(server.run::<String>(&["GET", "k"]), "me");
}

#[tokio::test]
async fn a_late_grant_does_not_end_the_next_hold_where_nobody_waited_for_the_release_either() {
    let server = RedisServer::start();
    let proxy = Proxy::to(server.port()).await;
    let store = connect_to(&proxy.address(), &[SOON]).await.unwrap();
    proxy.hold_replies();
    let until_exists = |expected| {
        let server = &server;
        eventually(
            "the command is carried out",
            move || async move { exists(server, "k") == expected },
        )
    };
    tokio::select! {
        outcome = store.acquire("k", "me", MINUTE) => panic!("{outcome:?}"),
        () = until_exists(true) => {}
    }
    tokio::select! {
        outcome = store.release("k", "me") => panic!("{outcome:?}"),
        () = until_exists(false) => {}
    }
    // The connection that owes both replies is given up, though no caller waited so long.
    let store_ref = &store;
    eventually("another connection answers", || async {
        let short = Duration::from_millis(100);
        let answer = tokio::time::timeout(short, store_ref.release("other", "me")).await;
        answer == Ok(Ok(Released::Missing))
    })
    .await;
    assert_eq!(store.acquire("k", "me", MINUTE).await, Ok(GRANTED));
    proxy.let_replies_through();
    store.close().await;
    assert_eq!(server.run::<String>(&["GET", "k"]), "me");
}

#[tokio::test]
async fn a_late_grant_that_has_run_out_is_left_alone() {
    let server = RedisServer::start();
    let proxy = Proxy::to(server.port()).await;
    let store = connect_to(&proxy.address(), &[SOON]).await.unwrap();
    proxy.hold_replies();
    let outcome = store.acquire("k", "me", Duration::from_millis(1500)).await;
    assert!(matches!(outcome, Err(Failure::Unknown { .. })), "{outcome:?}");
    let store_ref = &store;
    eventually("the same owner takes it anew", || async {
        store_ref.acquire("k", "me", MINUTE).await == Ok(GRANTED)
    })
    .await;
    proxy.let_replies_through();
    store.close().await;
    assert_eq!(server.run::<String>(&["GET", "k"]), "me");
}

#[tokio::test]
async fn a_release_whose_reply_is_lost_says_so() {
    let server = RedisServer::start();
    let proxy = Proxy::to(server.port()).await;
    let store = connect_to(&proxy.address(), &[SOON]).await.unwrap();
    assert_eq!(store.acquire("k", "me", MINUTE).await, Ok(GRANTED));
    proxy.hold_replies();
    let expected = Failure::Unknown {
        cause: format!("redis {}: no reply within 1s", proxy.address()),
        held_until: None,
    };
    assert_eq!(store.release("k", "me").await, Err(expected));
    assert_eq!(store.release("k", "me").await, Ok(Released::Missing));
}

#[tokio::test]
async fn a_server_that_is_down_is_named_and_nothing_was_done() {
    let mut server = RedisServer::start();
    let store = connect(&server, &[BRISK]).await.unwrap();
    server.kill();
    let (store, address) = (&store, server.address());
    eventually("the cause is the refusal", || async {
        let expected = format!("redis {address}: connection refused");
        store.acquire("k", "me", MINUTE).await == Err(Failure::NotDone { cause: expected })
    })
    .await;
    server.restart();
    assert_recovers(store).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_under_load_loses_no_lock_that_was_reported() {
    let mut server = RedisServer::start();
    let store = connect(&server, &[BRISK]).await.unwrap();
    // Odd while the server is going down or coming up: then a lock may vanish with its memory.
    let (upheavals, done) = (AtomicU64::new(0), AtomicBool::new(false));
    let address = server.address();
    let worker = |n: usize| {
        let (store, upheavals, done, address) = (&store, &upheavals, &done, &address);
        async move {
            let mut good = 0;
            for round in 0.. {
                if done.load(Ordering::SeqCst) {
                    break;
                }
                let before = upheavals.load(Ordering::SeqCst);
                let (key, owner) = (format!("k{}", n % 8), format!("{n}.{round}"));
                let outcome = store.acquire(&key, &owner, Duration::from_millis(500)).await;
                let outcome = match outcome {
                    Ok(Acquired::Held) => continue,
                    Ok(Acquired::Granted(_)) => store.release(&key, &owner).await.map(Some),
                    Err(failure) => Err(failure),
                };
                let calm = before.is_multiple_of(2) && before == upheavals.load(Ordering::SeqCst);
                match outcome {
                    Ok(Some(Released::Released)) => good += 1,
                    Ok(other) => assert!(!calm, "granted, and then {other:?}"),
                    Err(failure) => assert!(failure.to_string().contains(address.as_str())),
                }
            }
            good
        }
    };
    let chaos = async {
        let (store, upheavals) = (&store, &upheavals);
        for _ in 0..3 {
            assert_recovers(store).await;
            upheavals.fetch_add(1, Ordering::SeqCst);
            server = tokio::task::spawn_blocking(move || {
                server.kill();
                server.restart();
                server
            })
            .await
            .unwrap();
            assert_recovers(store).await;
            upheavals.fetch_add(1, Ordering::SeqCst);
        }
        assert_recovers(store).await;
        done.store(true, Ordering::SeqCst);
    };
    let workers = futures_util::future::join_all((0..32).map(worker));
    let (good, ()) = tokio::join!(workers, chaos);
    assert!(good.iter().sum::<u32>() > 0);
}

#[tokio::test]
async fn connections_that_are_killed_are_replaced() {
    let server = RedisServer::start();
    let store = connect(&server, &[PATIENT]).await.unwrap();
    for _ in 0..3 {
        server.run::<()>(&["CLIENT", "KILL", "TYPE", "normal"]);
        assert_recovers(&store).await;
    }
    pause_writes(&server);
    let (outcome, ()) = tokio::join!(store.acquire("k", "me", MINUTE), async {
        let server = &server;
        eventually("the command is there", || async {
            let clients: String = server.run(&["CLIENT", "LIST"]);
            clients.contains("cmd=set")
        })
        .await;
        server.run::<()>(&["CLIENT", "KILL", "TYPE", "normal"]);
    });
    assert!(matches!(outcome, Err(Failure::Unknown { .. })), "{outcome:?}");
}

#[tokio::test]
async fn a_server_that_was_demoted_is_waited_for() {
    let server = RedisServer::start();
    let store = connect(&server, &[BRISK, ("redisMaxRetries", "1000")]).await.unwrap();
    let impatient = connect(&server, &[ONCE]).await.unwrap();
    server.run::<()>(&["REPLICAOF", "127.0.0.1", &free_port().to_string()]);
    let cause = cause(impatient.acquire("k", "me", MINUTE).await);
    assert!(cause.contains("READONLY"), "{cause}");
    let connections = || server.run::<String>(&["INFO", "stats"]);
    let before = connections();
    let (outcome, ()) = tokio::join!(store.acquire("k", "me", MINUTE), async {
        // It comes back over new connections, not over the one to the demoted server.
        let connections = &connections;
        let before = received(&before);
        eventually("it reconnects", || async { received(&connections()) > before + 50 }).await;
        server.run::<()>(&["REPLICAOF", "NO", "ONE"]);
    });
    assert_eq!(outcome, Ok(GRANTED));
}

fn received(stats: &str) -> u64 {
    stats
        .lines()
        .find_map(|line| line.strip_prefix("total_connections_received:"))
        .and_then(|count| count.trim().parse().ok())
        .unwrap_or(0)
}

#[tokio::test]
async fn a_server_that_refuses_writes_changes_nothing_and_is_quoted() {
    let server = RedisServer::start();
    let store = connect(&server, &[]).await.unwrap();
    for (setting, refusing, accepting, words) in
        [("min-replicas-to-write", "1", "0", "NOREPLICAS"), ("maxmemory", "1", "0", "OOM")]
    {
        server.run::<()>(&["CONFIG", "SET", setting, refusing]);
        let cause = cause(store.acquire("k", "me", MINUTE).await);
        assert!(cause.contains(words), "{cause}");
        server.run::<()>(&["CONFIG", "SET", setting, accepting]);
        assert!(!exists(&server, "k"));
        assert_recovers(&store).await;
    }
}

#[tokio::test]
async fn a_server_that_cannot_save_changes_nothing_and_is_quoted() {
    let server = RedisServer::start();
    let store = connect(&server, &[]).await.unwrap();
    // A directory where the file should be: saving fails whoever the server runs as.
    let in_the_way = server.dir().join("dump.rdb");
    fs::create_dir_all(in_the_way.join("x")).unwrap();
    server.run::<()>(&["CONFIG", "SET", "save", "3600 1"]);
    server.run::<()>(&["BGSAVE"]);
    let server_ref = &server;
    let status = |wanted: &'static str| async move {
        let info: String = server_ref.run(&["INFO", "persistence"]);
        info.contains(&format!("rdb_last_bgsave_status:{wanted}"))
    };
    eventually("saving fails", || status("err")).await;
    let cause = cause(store.acquire("k", "me", MINUTE).await);
    assert!(cause.contains("MISCONF"), "{cause}");
    fs::remove_dir_all(in_the_way).unwrap();
    server.run::<()>(&["BGSAVE"]);
    eventually("saving works", || status("ok")).await;
    assert_recovers(&store).await;
}

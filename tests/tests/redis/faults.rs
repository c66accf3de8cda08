//! The answers of the library's store, and the locks that it leaves behind, when the server or the network fails.

use std::{
    fs,
    future::Future,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    time::{Duration, SystemTime},
};

use futures_util::future::join_all;
use holdfast::store::{Acquired, Failure, Released, Store};
use holdfast_tests::{
    MINUTE, assert_granted, assert_recovers, eventually, free_port, is_granted,
    redis_server::RedisServer,
    redis_store::{ONCE, PATIENT, Setting, behind_proxy, connect},
};

use crate::{QUICK_RETRIES, assert_unknown, not_done};

const SOON: Setting = ("readTimeout", "1s");

/// Makes a call whose caller leaves before the outcome is known.
async fn abandon(call: impl Future) {
    let gone = tokio::time::timeout(Duration::from_millis(20), call).await;
    assert!(gone.is_err());
}

/// Waits until the server has carried out one acquire of `k` and released it again.
async fn assert_released_again(server: &RedisServer) {
    eventually("the lock is released", async || server.calls("set") == 1 && !server.exists("k"))
        .await;
}

#[tokio::test]
async fn a_frozen_server_makes_the_outcome_unknown_and_its_late_grant_is_released() {
    let server = RedisServer::start();
    let store = connect(&server, &[SOON, ("dialTimeout", "1s")]).await.unwrap();
    server.suspend();
    let before = SystemTime::now();
    let outcome = store.acquire("k", "me", MINUTE).await;
    let Err(Failure::Unknown(outcome)) = outcome else {
        panic!("{outcome:?}");
    };
    let (cause, until) = (&outcome.cause, outcome.held_until().unwrap());
    assert_eq!(*cause, format!("redis {}: no reply within 1s", server.address()));
    assert!(until >= before + MINUTE);
    server.resume();
    assert_released_again(&server).await;
    assert_recovers(&store).await;
}

#[tokio::test]
async fn a_grant_that_arrives_after_its_caller_left_is_released() {
    let server = RedisServer::start();
    let store = connect(&server, &[PATIENT]).await.unwrap();
    server.pause_writes();
    abandon(store.acquire("k", "me", MINUTE)).await;
    server.unpause();
    assert_released_again(&server).await;
}

#[tokio::test]
async fn a_grant_that_arrives_after_its_caller_left_expires_where_it_cannot_be_given_back() {
    for missing in ["-time", "-pexpiretime", "-eval"] {
        let server = RedisServer::start();
        let store = connect(&server, &[PATIENT]).await.unwrap();
        server.run::<()>(&["ACL", "SETUSER", "default", missing]);
        server.kill_connections();
        eventually("a new connection is used", async || {
            let outcome = store.acquire("new", "me", MINUTE).await;
            matches!(outcome, Ok(Acquired::Granted(_) | Acquired::Held))
        })
        .await;
        server.pause_writes();
        abandon(store.acquire("k", "me", MINUTE)).await;
        server.unpause();
        store.close().await;
        assert!(server.exists("k"), "{missing}");
        assert!((1..=60_000).contains(&server.run::<i64>(&["PTTL", "k"])), "{missing}");
    }
}

#[tokio::test]
async fn closing_waits_for_the_release_of_abandoned_grants() {
    let server = RedisServer::start();
    let store = connect(&server, &[PATIENT]).await.unwrap();
    server.pause_writes();
    abandon(store.acquire("k", "me", MINUTE)).await;
    server.unpause();
    store.close().await;
    assert_eq!((server.calls("set"), server.exists("k")), (1, false));
}

#[tokio::test]
async fn a_release_completes_after_its_caller_left() {
    let server = RedisServer::start();
    let store = connect(&server, &[PATIENT]).await.unwrap();
    assert_granted(store.acquire("k", "me", MINUTE).await);
    server.pause_writes();
    abandon(store.release("k", "me")).await;
    server.unpause();
    eventually("the lock is released", async || !server.exists("k")).await;
}

#[tokio::test]
async fn a_grant_whose_reply_is_late_is_released() {
    let (server, proxy, store) = behind_proxy(&[SOON]).await;
    proxy.hold_replies();
    let outcome = store.acquire("k", "me", MINUTE).await;
    assert_unknown(&outcome);
    assert_eq!(server.run::<String>(&["GET", "k"]), "me");
    proxy.let_replies_through();
    assert_released_again(&server).await;
}

#[tokio::test]
async fn an_acquire_whose_reply_is_lost_is_unknown_and_sent_once() {
    let (server, proxy, store) = behind_proxy(&[PATIENT]).await;
    proxy.hold_replies();
    let (outcome, ()) = tokio::join!(store.acquire("k", "me", MINUTE), async {
        eventually("the lock is taken", async || server.exists("k")).await;
        proxy.cut();
    });
    let Err(Failure::Unknown(outcome)) = outcome else {
        panic!("{outcome:?}");
    };
    let (cause, until) = (&outcome.cause, outcome.held_until().unwrap());
    assert_eq!(*cause, format!("redis {}: connection lost", proxy.address()));
    let now = SystemTime::now();
    let left: u64 = server.run(&["PTTL", "k"]);
    assert!(now + Duration::from_millis(left) <= until);
    assert_eq!(server.calls("set"), 1);
    assert_eq!(store.release("k", "me").await, Ok(Released::Released));
}

#[tokio::test]
async fn after_a_reply_that_makes_no_sense_nothing_on_that_connection_is_believed() {
    let (_server, proxy, store) = behind_proxy(&[PATIENT]).await;
    proxy.corrupt_replies();
    let outcomes = join_all(["a", "b", "c"].map(|key| store.acquire(key, "me", MINUTE))).await;
    for outcome in outcomes {
        let Err(Failure::Unknown(outcome)) = outcome else {
            panic!("{outcome:?}");
        };
        assert!(outcome.cause.ends_with(": unexpected reply from the server"), "{}", outcome.cause);
        assert!(outcome.held_until().is_some());
    }
    proxy.mend();
    assert_recovers(&store).await;
}

#[tokio::test]
async fn a_late_grant_does_not_release_the_next_lock_of_its_owner() {
    let (server, proxy, store) = behind_proxy(&[SOON]).await;
    proxy.hold_replies();
    let outcome = store.acquire("k", "me", MINUTE).await;
    assert_unknown(&outcome);
    assert_eq!(store.release("k", "me").await, Ok(Released::Released));
    assert_granted(store.acquire("k", "me", MINUTE).await);
    proxy.let_replies_through();
    store.close().await;
    assert_eq!(server.run::<String>(&["GET", "k"]), "me");
}

#[tokio::test]
async fn a_late_grant_does_not_release_the_next_lock_after_an_abandoned_release() {
    let (server, proxy, store) = behind_proxy(&[SOON]).await;
    proxy.hold_replies();
    let until_exists = async |expected| {
        eventually("the command is carried out", async || server.exists("k") == expected).await;
    };
    tokio::select! {
        outcome = store.acquire("k", "me", MINUTE) => panic!("{outcome:?}"),
        () = until_exists(true) => {}
    }
    tokio::select! {
        outcome = store.release("k", "me") => panic!("{outcome:?}"),
        () = until_exists(false) => {}
    }
    // The connection that owes both replies is closed, though no caller waited for readTimeout.
    eventually("another connection answers", async || {
        let short = Duration::from_millis(100);
        let answer = tokio::time::timeout(short, store.release("other", "me")).await;
        answer == Ok(Ok(Released::Missing))
    })
    .await;
    assert_granted(store.acquire("k", "me", MINUTE).await);
    proxy.let_replies_through();
    store.close().await;
    assert_eq!(server.run::<String>(&["GET", "k"]), "me");
}

#[tokio::test]
async fn a_late_grant_that_has_expired_is_not_released() {
    let (server, proxy, store) = behind_proxy(&[SOON]).await;
    proxy.hold_replies();
    let outcome = store.acquire("k", "me", Duration::from_millis(1500)).await;
    assert_unknown(&outcome);
    eventually("the same owner gets it again", async || {
        is_granted(&store.acquire("k", "me", MINUTE).await)
    })
    .await;
    proxy.let_replies_through();
    store.close().await;
    assert_eq!(server.run::<String>(&["GET", "k"]), "me");
}

#[tokio::test]
async fn a_release_whose_reply_is_lost_is_unknown() {
    let (_server, proxy, store) = behind_proxy(&[SOON]).await;
    assert_granted(store.acquire("k", "me", MINUTE).await);
    proxy.hold_replies();
    let expected = Failure::unknown(format!("redis {}: no reply within 1s", proxy.address()), None);
    assert_eq!(store.release("k", "me").await, Err(expected));
    assert_eq!(store.release("k", "me").await, Ok(Released::Missing));
}

#[tokio::test]
async fn a_call_to_a_server_that_is_down_is_not_done() {
    let mut server = RedisServer::start();
    let store = connect(&server, &[QUICK_RETRIES]).await.unwrap();
    server.kill();
    let refused = Failure::not_done(format!("redis {}: connection refused", server.address()));
    eventually("the cause is the refused connection", async || {
        store.acquire("k", "me", MINUTE).await == Err(refused.clone())
    })
    .await;
    server.restart();
    assert_recovers(&store).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_under_load_loses_no_reported_lock() {
    let mut server = RedisServer::start();
    let store = connect(&server, &[QUICK_RETRIES]).await.unwrap();
    // Odd while the server restarts: then a lock may be lost with the server's memory.
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
    let workers = join_all((0..32).map(worker));
    let (good, ()) = tokio::join!(workers, chaos);
    assert!(good.iter().sum::<u32>() > 0);
}

#[tokio::test]
async fn killed_connections_are_replaced() {
    let server = RedisServer::start();
    let store = connect(&server, &[PATIENT]).await.unwrap();
    for _ in 0..3 {
        server.kill_connections();
        assert_recovers(&store).await;
    }
    server.pause_writes();
    let (outcome, ()) = tokio::join!(store.acquire("k", "me", MINUTE), async {
        eventually("the command is sent", async || {
            server.run::<String>(&["CLIENT", "LIST"]).contains("cmd=set")
        })
        .await;
        server.kill_connections();
    });
    assert_unknown(&outcome);
}

#[tokio::test]
async fn an_acquire_waits_until_a_demoted_server_takes_writes_again() {
    let server = RedisServer::start();
    let store = connect(&server, &[QUICK_RETRIES, ("redisMaxRetries", "1000")]).await.unwrap();
    let impatient = connect(&server, &[ONCE]).await.unwrap();
    server.run::<()>(&["REPLICAOF", "127.0.0.1", &free_port().to_string()]);
    let cause = not_done(impatient.acquire("k", "me", MINUTE).await);
    assert!(cause.contains("READONLY"), "{cause}");
    let before = server.connections_received();
    let (outcome, ()) = tokio::join!(store.acquire("k", "me", MINUTE), async {
        // Each further try takes a new connection, in case the address leads to another server by then.
        eventually("it reconnects", async || server.connections_received() > before + 50).await;
        server.run::<()>(&["REPLICAOF", "NO", "ONE"]);
    });
    assert_granted(outcome);
}

#[tokio::test]
async fn a_refused_write_is_not_done_and_quotes_the_server() {
    let server = RedisServer::start();
    let store = connect(&server, &[]).await.unwrap();
    for (setting, refusing, accepting, words) in
        [("min-replicas-to-write", "1", "0", "NOREPLICAS"), ("maxmemory", "1", "0", "OOM")]
    {
        server.run::<()>(&["CONFIG", "SET", setting, refusing]);
        let cause = not_done(store.acquire("k", "me", MINUTE).await);
        assert!(cause.contains(words), "{cause}");
        server.run::<()>(&["CONFIG", "SET", setting, accepting]);
        assert!(!server.exists("k"));
        assert_recovers(&store).await;
    }
}

#[tokio::test]
async fn a_write_refused_for_failed_saving_is_not_done_and_quotes_the_server() {
    let server = RedisServer::start();
    let store = connect(&server, &[]).await.unwrap();
    // A directory in place of the file makes saving fail for every user, root included.
    let in_the_way = server.dir().join("dump.rdb");
    fs::create_dir_all(in_the_way.join("x")).unwrap();
    server.run::<()>(&["CONFIG", "SET", "save", "3600 1"]);
    server.run::<()>(&["BGSAVE"]);
    let status = async |wanted| {
        let info: String = server.run(&["INFO", "persistence"]);
        info.contains(&format!("rdb_last_bgsave_status:{wanted}"))
    };
    eventually("saving fails", async || status("err").await).await;
    let cause = not_done(store.acquire("k", "me", MINUTE).await);
    assert!(cause.contains("MISCONF"), "{cause}");
    fs::remove_dir_all(in_the_way).unwrap();
    server.run::<()>(&["BGSAVE"]);
    eventually("saving works", async || status("ok").await).await;
    assert_recovers(&store).await;
}

//! Waiting for locks, and losing them, by the server's notifications: no command is sent while nothing changes.

use std::{sync::Arc, time::Duration};

use futures_util::future::join_all;
use holdfast::{
    Lease, LeaseOptions, Locks, Lost, Resource,
    store::{Store, redis::RedisStore},
    types,
};
use holdfast_tests::{
    MINUTE, eventually,
    redis_server::RedisServer,
    redis_store::{PATIENT, behind_proxy, connect, connect_to, locker},
};
use tokio::task::JoinHandle;

use crate::{log::Log, narrow_proxy::NarrowProxy};

const R: Resource<'static> = Resource { store: "s", id: "r" };
const KEY: &str = "lock||r";

/// Shorter than any time to live here.
const LONG: Duration = Duration::from_secs(20);

/// Longer than the longest pause between two tries of waiters that are not notified.
const QUIET: Duration = Duration::from_secs(1);

/// Lets the time pass in which waiters that are not notified would try again. There is no event to wait for: a test
/// shows that the waiters do nothing.
async fn stay_idle() {
    tokio::time::sleep(QUIET).await;
}

fn over(store: RedisStore) -> Locks {
    Locks::builder().store("s", Arc::new(store)).build().unwrap()
}

async fn locks(server: &RedisServer) -> Locks {
    over(connect(server, &[]).await.unwrap())
}

/// Begins to wait for the lock.
fn wait(locks: &Locks) -> JoinHandle<types::Lease> {
    let locks = locks.clone();
    tokio::spawn(async move {
        let options = LeaseOptions::new(MINUTE).wait(LONG);
        locks.acquire(R, &options).await.unwrap().expect("it is free in time")
    })
}

/// Takes the lock by hand, as any program may.
fn hold(server: &RedisServer) {
    server.run::<()>(&["SET", KEY, "somebody's", "EX", "60", "NX"]);
}

/// How many keys the server tracks for its clients.
fn tracked(server: &RedisServer) -> u64 {
    let info: String = server.run(&["INFO", "stats"]);
    let line = info.lines().find_map(|line| line.strip_prefix("tracking_total_keys:"));
    line.and_then(|number| number.trim().parse().ok()).expect("a number")
}

/// Waits until the server tracks the lock for a client.
async fn is_watched(server: &RedisServer) {
    eventually("somebody watches", async || tracked(server) >= 1).await;
}

#[tokio::test]
async fn every_end_of_a_hold_wakes_the_waiters() {
    let server = RedisServer::start();
    let (locks, others) = (locks(&server).await, connect(&server, &[]).await.unwrap());
    let endings: [&[&str]; 7] = [
        &["DEL", KEY],
        &["UNLINK", KEY],
        &["FLUSHALL"],
        &["FLUSHDB", "ASYNC"],
        &["RENAME", KEY, "elsewhere"],
        &["PEXPIRE", KEY, "50"],
        &["EVAL", "return redis.call('DEL', KEYS[1])", "1", KEY],
    ];
    for ending in endings {
        hold(&server);
        let waiting = wait(&locks);
        is_watched(&server).await;
        server.run::<redis::Value>(ending);
        let lease = waiting.await.unwrap();
        assert_eq!(server.run::<String>(&["GET", KEY]), lease.owner, "{ending:?}");
        // By another program of ours.
        let next = wait(&locks);
        is_watched(&server).await;
        others.release(KEY, &lease.owner).await.unwrap();
        let lease = next.await.unwrap();
        others.release(KEY, &lease.owner).await.unwrap();
    }
}

#[tokio::test]
async fn waiters_send_nothing_until_the_lock_is_free_then_one_try_per_process() {
    let server = RedisServer::start();
    let processes = [locks(&server).await, locks(&server).await];
    hold(&server);
    let waiting: Vec<_> =
        processes.iter().flat_map(|locks| (0..500).map(|_| (locks.clone(), wait(locks)))).collect();
    eventually("both watch", async || {
        let clients: String = server.run(&["CLIENT", "LIST"]);
        clients.lines().filter(|client| client.contains("flags=t ")).count() == 2
            && server.calls("eval") >= 2
    })
    .await;
    server.forget_calls();
    stay_idle().await;
    assert_eq!((server.calls("set"), server.calls("eval"), server.calls("get")), (0, 0, 0));

    server.run::<()>(&["DEL", KEY]);
    eventually("somebody has it", async || server.exists(KEY)).await;
    stay_idle().await;
    let tries = server.calls("set");
    assert!(tries <= 2, "{tries} tries");

    // All waiters get it, one after the other, whichever process is next.
    join_all(waiting.into_iter().map(async |(locks, waiting)| {
        let lease = waiting.await.unwrap();
        locks.unlock(R, &lease.owner).await.unwrap();
    }))
    .await;
    let tries = server.calls("set");
    assert!(tries < 3_000, "{tries} tries for 1,000 who waited");
}

#[tokio::test]
async fn waiters_are_served_though_the_event_connection_is_lost() {
    let server = RedisServer::start();
    let locks = locks(&server).await;
    hold(&server);
    let waiting = wait(&locks);
    is_watched(&server).await;
    for _ in 0..3 {
        server.kill_connections();
        eventually("it is watched again", async || tracked(&server) >= 1).await;
    }
    server.run::<()>(&["DEL", KEY]);
    waiting.await.unwrap();
}

#[tokio::test]
async fn waiters_are_served_though_the_server_falls_silent() {
    let (server, proxy, store) = behind_proxy(&[PATIENT]).await;
    let store = Arc::new(store);
    let locks = Locks::builder().store("s", store.clone()).build().unwrap();
    hold(&server);
    let waiting = wait(&locks);
    is_watched(&server).await;
    server.run::<()>(&["PEXPIRE", KEY, "1500"]);
    eventually("it is watched again", async || server.calls("eval") >= 2).await;
    // The answer to the waiter has come before this one.
    let _watch = store.watch(KEY).await;
    // Nothing reports that the lock is free, but the latest time at which it is free is known.
    proxy.hold_replies();
    eventually("it is tried", async || {
        server.run::<Option<String>>(&["GET", KEY]).is_some_and(|owner| owner != "somebody's")
    })
    .await;
    proxy.let_replies_through();
    waiting.await.unwrap();
}

#[tokio::test]
async fn without_release_events_waiters_poll() {
    let (log, _guard) = Log::start();
    let server = RedisServer::start();
    let login = locker(&server, "s3cret-word", "+ping +set +get +del +eval +info +pttl +time");
    let locks = over(connect(&server, &login).await.unwrap());
    for _ in 0..3 {
        hold(&server);
        let waiting = wait(&locks);
        eventually("it is tried", async || server.calls("set") >= 3).await;
        server.run::<()>(&["DEL", KEY]);
        let lease = waiting.await.unwrap();
        locks.unlock(R, &lease.owner).await.unwrap();
        server.forget_calls();
    }
    let said = log.text();
    assert_eq!(said.matches("calls that wait for a lock poll").count(), 1, "{said}");
}

#[tokio::test]
async fn one_connection_that_is_lost_on_its_first_questions_does_not_end_notifications() {
    let server = RedisServer::start();
    let proxy = NarrowProxy::start(server.port(), &["HELLO"]).await;
    let store = connect_to(&proxy.address(), &[]).await.unwrap();
    assert!(store.watch(KEY).await.is_none());
    proxy.forget_only(&[]);
    let watched = eventually("it is watched", async || store.watch(KEY).await.is_some());
    tokio::time::timeout(LONG, watched).await.unwrap();
}

#[tokio::test]
async fn nothing_is_left_of_those_who_have_left() {
    let server = RedisServer::start();
    let locks = locks(&server).await;
    hold(&server);
    let waiting: Vec<_> = (0..10).map(|_| wait(&locks)).collect();
    is_watched(&server).await;
    waiting.iter().for_each(JoinHandle::abort);
    for waiting in waiting {
        assert!(waiting.await.is_err());
    }
    // The store closes the connection once nobody watches.
    eventually("the connection is closed", async || {
        !server.run::<String>(&["CLIENT", "LIST"]).contains("flags=t ")
    })
    .await;
    assert_eq!(server.run::<String>(&["GET", KEY]), "somebody's");
}

/// Locks, and a lease that is not renewed as long as a test takes.
async fn kept(server: &RedisServer) -> (Locks, Lease) {
    let locks = locks(server).await;
    let options = LeaseOptions::new(60 * MINUTE);
    let lease = locks.keep(R, &options, None).await.unwrap().unwrap();
    is_watched(server).await;
    (locks, lease)
}

#[tokio::test]
async fn a_loss_is_reported_as_it_happens() {
    let endings: [(&[&str], Lost); 4] = [
        (&["DEL", KEY], Lost::Gone),
        (&["FLUSHALL"], Lost::Gone),
        (&["PEXPIRE", KEY, "-1"], Lost::Gone),
        (&["SET", KEY, "somebody's"], Lost::HeldByOther),
    ];
    for (ending, expected) in endings {
        let server = RedisServer::start();
        let (_locks, lease) = kept(&server).await;
        server.run::<redis::Value>(ending);
        let lost = tokio::time::timeout(LONG, lease.lost()).await;
        assert_eq!(lost, Ok(expected), "{ending:?}");
    }
}

#[tokio::test]
async fn a_lease_that_somebody_shortens_is_renewed_and_one_that_is_left_alone_costs_nothing() {
    let server = RedisServer::start();
    let (_locks, lease) = kept(&server).await;
    server.forget_calls();
    stay_idle().await;
    assert_eq!(server.calls("eval"), 0);

    server.run::<()>(&["PEXPIRE", KEY, "5000"]);
    eventually("it lasts longer", async || server.run::<u64>(&["PTTL", KEY]) > 60_000).await;
    assert_eq!(server.run::<String>(&["GET", KEY]), lease.owner());
    stay_idle().await;
    // The first look, the renewal, and the look after it.
    assert!(server.calls("eval") <= 4, "{}", server.calls("eval"));
}

#[tokio::test]
async fn waiters_are_served_though_only_the_event_connection_falls_silent() {
    let (server, proxy, store) = behind_proxy(&[("readTimeout", "1s")]).await;
    let locks = over(store);
    hold(&server);
    let waiting = wait(&locks);
    is_watched(&server).await;
    // Connections that are opened from now on work.
    proxy.hold_replies();
    server.run::<()>(&["DEL", KEY]);
    waiting.await.unwrap();
}

#[tokio::test]
async fn an_owner_of_any_length_is_known_and_another_that_is_like_it_is_not_it() {
    let server = RedisServer::start();
    let locks = locks(&server).await;
    let long = format!("a{}", "\u{e9}".repeat(4_000));
    for (owner, like_it) in [(&*long, &long[..101]), ("abc", "ab"), ("abc", "")] {
        let options = LeaseOptions::new(60 * MINUTE).owner(owner);
        let lease = locks.keep(R, &options, None).await.unwrap().unwrap();
        eventually("it is watched", async || server.calls("eval") >= 1).await;
        server.forget_calls();
        stay_idle().await;
        assert_eq!(server.calls("eval"), 0, "{owner:.10}");
        server.run::<()>(&["SET", KEY, like_it]);
        let lost = tokio::time::timeout(LONG, lease.lost()).await;
        assert_eq!(lost, Ok(Lost::HeldByOther), "{owner:.10}");
        server.run::<()>(&["DEL", KEY]);
        server.forget_calls();
    }
}

#[tokio::test]
async fn a_server_that_reports_changes_that_are_none_is_not_asked_without_a_pause() {
    let server = RedisServer::start();
    // The server forgets which clients track a key, and notifies them that the key has changed.
    server.run::<()>(&["CONFIG", "SET", "tracking-table-max-keys", "1"]);
    let locks = locks(&server).await;
    let waiting: Vec<_> = (0..4)
        .map(|number| {
            let id = format!("r{number}");
            server.run::<()>(&["SET", &format!("lock||{id}"), "somebody's", "EX", "60"]);
            let locks = locks.clone();
            tokio::spawn(async move {
                let resource = Resource { store: "s", id: &id };
                locks.acquire(resource, &LeaseOptions::new(MINUTE).wait(LONG)).await.unwrap()
            })
        })
        .collect();
    // Beside the commands that set the four.
    eventually("each has tried", async || server.calls("set") >= 8).await;
    server.forget_calls();
    // The tries of this time are counted.
    tokio::time::sleep(2 * QUIET).await;
    assert!(server.calls("set") < 200, "{}", server.calls("set"));
    server.run::<()>(&["DEL", "lock||r0", "lock||r1", "lock||r2", "lock||r3"]);
    for waiting in waiting {
        assert!(waiting.await.unwrap().is_some());
    }
}

//! Commands and replies that come late: no lock is reported as taken after its time, none outlives the reported
//! bound, and giving back a grant ends that grant and no other.

use std::time::{Duration, SystemTime};

use futures_util::future::join_all;
use holdfast::store::{Acquired, Failure, Released, Store};
use holdfast_tests::{
    MINUTE, SECOND, assert_granted,
    clock::Clock,
    eventually, is_granted,
    redis_server::RedisServer,
    redis_store::{ONCE, PATIENT, behind_proxy, connect, connect_to},
};

use crate::{adapter::Adapter, assert_unknown, log::Log, narrow_proxy::NarrowProxy, not_done};

/// In milliseconds, as clocks are set.
const HOUR: i64 = 3_600_000;

/// The time until which a lock may be held whose acquire was not answered.
fn bound(outcome: Result<Acquired, Failure>) -> SystemTime {
    match outcome {
        Err(Failure::Unknown(outcome)) => outcome.held_until().unwrap(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_lock_that_ran_out_before_its_reply_came_is_not_taken() {
    let (server, proxy, slow) = behind_proxy(&[PATIENT]).await;
    let other = connect(&server, &[]).await.unwrap();
    proxy.hold_replies();
    let (outcome, ()) = tokio::join!(slow.acquire("k", "slow", SECOND), async {
        eventually("the lock is taken", async || server.exists("k")).await;
        eventually("another owner takes it", async || {
            is_granted(&other.acquire("k", "other", MINUTE).await)
        })
        .await;
        proxy.let_replies_through();
    });
    let cause = not_done(outcome);
    assert!(cause.ends_with(": the lock ran out before the reply came"), "{cause}");
    slow.close().await;
    assert_eq!(server.run::<String>(&["GET", "k"]), "other");
}

#[tokio::test]
async fn a_server_that_stands_still_takes_no_lock_after_its_bound() {
    let server = RedisServer::start();
    let store = connect(&server, &[ONCE, ("readTimeout", "200ms")]).await.unwrap();
    server.suspend();
    let until = bound(store.acquire("k", "me", 2 * SECOND).await);
    assert!(until <= SystemTime::now() + 2 * SECOND);
    eventually("the bound is over", async || SystemTime::now() > until).await;
    server.resume();
    eventually("the command is carried out", async || server.calls("set") == 1).await;
    assert!(!server.exists("k"));
    assert_granted(store.acquire("k", "other", MINUTE).await);
}

#[tokio::test]
async fn a_lock_that_is_taken_late_ends_at_its_bound() {
    let (server, proxy, store) = behind_proxy(&[ONCE, ("readTimeout", "500ms")]).await;
    // The reply never comes, so the lock is not given back.
    proxy.hold_replies();
    server.suspend();
    let until = bound(store.acquire("k", "me", MINUTE).await);
    let earliest = SystemTime::now() + SECOND;
    eventually("a second has passed", async || SystemTime::now() > earliest).await;
    server.resume();
    eventually("the lock is taken", async || server.exists("k")).await;
    let end: u64 = server.run(&["PEXPIRETIME", "k"]);
    let until = until.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_millis();
    assert!(u128::from(end) <= until && until <= u128::from(end) + 1_000, "{end} {until}");
}

#[tokio::test]
async fn giving_back_a_late_grant_leaves_a_newer_one_of_the_same_owner() {
    let (server, proxy, slow) = behind_proxy(&[("readTimeout", "500ms")]).await;
    let elsewhere = connect(&server, &[]).await.unwrap();
    proxy.hold_replies();
    assert_unknown(&slow.acquire("k", "me", MINUTE).await);
    assert_eq!(elsewhere.release("k", "me").await, Ok(Released::Released));
    assert_granted(elsewhere.acquire("k", "me", MINUTE).await);
    proxy.let_replies_through();
    eventually("the late grant is given back", async || server.calls("eval") == 1).await;
    slow.close().await;
    assert_eq!(server.run::<String>(&["GET", "k"]), "me");
}

#[tokio::test]
async fn a_server_whose_clock_is_set_forward_ends_its_locks_and_grants_lasting_ones() {
    let Some(mut clock) = Clock::make() else { return };
    let server = RedisServer::start_by(&clock, &[]);
    let store = connect(&server, &[]).await.unwrap();
    assert_granted(store.acquire("k", "me", MINUTE).await);
    clock.step(HOUR);
    assert_granted(store.acquire("k", "other", MINUTE).await);
    assert_eq!(server.run::<String>(&["GET", "k"]), "other");
    assert_eq!(store.release("k", "me").await, Ok(Released::HeldByOther));
}

#[tokio::test]
async fn a_server_whose_clock_is_set_back_keeps_its_locks_and_grants_no_longer_ones() {
    let Some(mut clock) = Clock::make() else { return };
    let server = RedisServer::start_by(&clock, &[]);
    let store = connect(&server, &[]).await.unwrap();
    assert_granted(store.acquire("k", "me", MINUTE).await);
    clock.step(-HOUR);
    assert_eq!(store.acquire("k", "other", MINUTE).await, Ok(Acquired::Held));
    assert_granted(store.acquire("free", "other", MINUTE).await);
    assert!(server.run::<u64>(&["PTTL", "free"]) <= 120_000);
    assert_eq!(store.release("k", "me").await, Ok(Released::Released));
}

#[tokio::test]
async fn a_grant_of_a_clock_that_was_set_back_is_unknown_where_it_cannot_be_given_back() {
    let Some(mut clock) = Clock::make() else { return };
    let server = RedisServer::start_by(&clock, &[]);
    // Like Redis before 7.
    server.run::<()>(&["ACL", "SETUSER", "default", "-pexpiretime"]);
    let store = connect(&server, &[]).await.unwrap();
    assert_granted(store.acquire("before", "me", MINUTE).await);
    clock.step(-HOUR);
    let until = bound(store.acquire("k", "me", MINUTE).await);
    let lasts = until.duration_since(SystemTime::now()).unwrap();
    let (least, most) = (Duration::from_secs(3_600), Duration::from_secs(3_720));
    assert!(least < lasts && lasts < most, "{lasts:?}");
    assert_eq!(server.run::<String>(&["GET", "k"]), "me");
}

#[tokio::test]
async fn a_command_that_could_not_be_sent_in_time_is_unknown_and_carried_out_later() {
    let limits = [("readTimeout", "300ms"), ("writeTimeout", "60s")];
    let server = RedisServer::start();
    let store = connect(&server, &limits).await.unwrap();
    assert_granted(store.acquire("k", "me", MINUTE).await);
    server.suspend();
    // More than the network takes while nobody reads.
    let large = "x".repeat(24 << 20);
    let (acquired, released) =
        tokio::join!(store.acquire("large", &large, MINUTE), store.release("k", "me"));
    assert!(bound(acquired) > SystemTime::now());
    assert!(matches!(released, Err(Failure::Unknown(_))), "{released:?}");
    server.resume();
    eventually("the release is carried out", async || !server.exists("k")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn waiters_on_a_connection_are_notified_when_it_closes() {
    const KILLS: u64 = 3_000;
    const CALLERS: usize = 64;
    let server = RedisServer::start();
    let store = connect(&server, &[("readTimeout", "-1")]).await.unwrap();
    server.pause_writes();
    let mut killed = 0;
    for round in 0.. {
        if killed >= KILLS {
            break;
        }
        let keys: Vec<String> = (0..CALLERS).map(|n| format!("{round}.{n}")).collect();
        let calls = join_all(keys.iter().map(|key| store.acquire(key, "me", SECOND)));
        let kill = async {
            // Callers whose connection was opened after a kill wait for the next one.
            loop {
                tokio::time::sleep(Duration::from_millis(5)).await;
                killed += server.kill_connections();
            }
        };
        let ended = tokio::time::timeout(Duration::from_secs(20), async {
            tokio::select! {
                outcomes = calls => outcomes,
                () = kill => unreachable!(),
            }
        });
        let outcomes = ended.await.unwrap_or_else(|_| panic!("round {round} does not end"));
        assert!(outcomes.iter().all(Result::is_err), "{outcomes:?}");
    }
}

#[tokio::test]
async fn a_server_that_does_not_report_its_clock_gets_a_time_to_live_and_a_wider_bound() {
    let server = RedisServer::start();
    server.run::<()>(&["ACL", "SETUSER", "default", "-time"]);
    let store = connect(&server, &[ONCE, ("readTimeout", "200ms")]).await.unwrap();
    assert_granted(store.acquire("k", "me", SECOND).await);
    assert_eq!(store.release("k", "me").await, Ok(Released::Released));
    server.suspend();
    let before = SystemTime::now();
    let until = bound(store.acquire("k", "me", SECOND).await);
    // The server may carry it out a second later.
    assert!(until >= before + 2 * SECOND - Duration::from_millis(1), "{until:?}");
    server.resume();
}

#[tokio::test]
async fn a_clock_that_makes_no_sense_after_a_grant_leaves_its_outcome_unknown() {
    let server = RedisServer::start();
    // This is a reply, but not a time.
    let proxy = NarrowProxy::start_with(server.port(), &[], ":1\r\n").await;
    let store = connect_to(&proxy.address(), &[ONCE]).await.unwrap();
    let component = Adapter::with_settings(1, &[("redisHost", &proxy.address()), ONCE]).await;
    let both: [&dyn Store; 2] = [&store, &component];
    for (store, key) in both.into_iter().zip(["k", "l"]) {
        proxy.forget_only(&[]);
        assert_granted(store.acquire("before", "me", MINUTE).await);
        assert_eq!(store.release("before", "me").await, Ok(Released::Released));
        proxy.forget_only(&["TIME"]);
        let outcome = store.acquire(key, "me", MINUTE).await;
        let Err(Failure::Unknown(unknown)) = outcome else { panic!("{outcome:?}") };
        assert!(unknown.cause.ends_with(": unexpected reply from the server"), "{unknown:?}");
        assert!(unknown.held_until().is_some() && server.exists(key), "{unknown:?}");
    }
}

#[tokio::test]
async fn a_component_that_may_not_give_back_what_a_clock_that_was_set_granted_does_not_know() {
    let Some(mut clock) = Clock::make() else { return };
    let server = RedisServer::start_by(&clock, &[]);
    server.run::<()>(&["ACL", "SETUSER", "default", "-pexpiretime"]);
    let store = Adapter::with_settings(1, &[("redisHost", &server.address())]).await;
    assert_granted(store.acquire("before", "me", MINUTE).await);
    clock.step(-HOUR);
    server.forget_calls();
    let until = bound(store.acquire("k", "me", MINUTE).await);
    assert_eq!(server.calls("set"), 1);
    // By the new clock, the lock lasts for the hour as well.
    let left = Duration::from_millis(server.run(&["PTTL", "k"]));
    assert!(until >= SystemTime::now() + left - SECOND, "{until:?} {left:?}");
}

#[tokio::test]
async fn a_component_whose_server_stops_reporting_its_clock_gives_the_grant_back() {
    let server = RedisServer::start();
    let store = Adapter::with_settings(1, &[("redisHost", &server.address())]).await;
    assert_granted(store.acquire("before", "me", MINUTE).await);
    server.run::<()>(&["ACL", "SETUSER", "default", "-time"]);
    let cause = not_done(store.acquire("k", "me", MINUTE).await);
    assert!(cause.ends_with(": the server does not report its clock any more"), "{cause}");
    assert!(!server.exists("k"));
    assert_granted(store.acquire("k", "me", MINUTE).await);
}

#[tokio::test]
async fn a_server_that_stops_reporting_its_clock_gets_the_grant_back_and_is_logged_once() {
    let server = RedisServer::start();
    let (log, guard) = Log::start();
    let store = connect(&server, &[]).await.unwrap();
    assert_granted(store.acquire("before", "me", MINUTE).await);
    server.run::<()>(&["ACL", "SETUSER", "default", "-time"]);
    let cause = not_done(store.acquire("k", "me", MINUTE).await);
    assert!(cause.ends_with(": the server does not report its clock any more"), "{cause}");
    assert!(!server.exists("k"));
    for owner in ["one", "two"] {
        assert_granted(store.acquire("k", owner, MINUTE).await);
        assert_eq!(store.release("k", owner).await, Ok(Released::Released));
    }
    drop(guard);
    let text = log.text();
    assert_eq!(
        text.matches("locks cannot expire at a time of the server's clock").count(),
        1,
        "{text}"
    );
}

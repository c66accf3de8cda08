//! Leases in Redis: fencing tokens, extends, and inspections.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::FutureExt;
use holdfast::{
    Lease, LeaseOptions, Locks, Lost, Resource, UnlockStatus,
    store::{Acquired, Extended, Failure, Released, Store, redis::RedisStore},
};
use holdfast_tests::{
    MINUTE, SECOND, assert_granted,
    clock::Clock,
    eventually, is_granted, read,
    redis_server::RedisServer,
    redis_store::{ONCE, behind_proxy, connect, locker, unconnected},
};

use crate::{adapter::Adapter, assert_unknown, not_done};

async fn server_and_store() -> (RedisServer, RedisStore) {
    let server = RedisServer::start();
    let store = connect(&server, &[]).await.expect("a store");
    (server, store)
}

/// Takes the lock, and returns the fencing token.
async fn number(store: &RedisStore, key: &str, ttl: Duration) -> u64 {
    match store.acquire_fenced(key, "me", ttl).await {
        Ok(Acquired::Granted(grant)) => grant.fencing_token.expect("a number"),
        other => panic!("{other:?}"),
    }
}

/// For how long an extended lock is valid, in milliseconds.
fn valid_for(extended: Result<Extended, Failure>) -> u64 {
    match extended {
        Ok(Extended::Extended(valid_for)) => valid_for,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_grant_says_how_long_it_is_valid() {
    let (_server, store) = server_and_store().await;
    for outcome in
        [store.acquire("a", "me", MINUTE).await, store.acquire_fenced("b", "me", MINUTE).await]
    {
        let Ok(Acquired::Granted(grant)) = outcome else { panic!("{outcome:?}") };
        assert!((1..=60_000).contains(&grant.valid_for.unwrap()), "{grant:?}");
    }
}

#[tokio::test]
async fn numbers_grow_across_release_expiry_restart_and_the_loss_of_the_counter() {
    let (server, store) = server_and_store().await;
    let key = "lock||app||r";
    let mut last = 0;
    let mut grows = |number| {
        assert!(number > last, "{number} after {last}");
        last = number;
    };
    grows(number(&store, key, MINUTE).await);
    assert_eq!(store.acquire_fenced(key, "you", MINUTE).await, Ok(Acquired::Held));
    assert_eq!(store.acquire(key, "you", MINUTE).await, Ok(Acquired::Held));
    assert_eq!(store.release(key, "me").await, Ok(Released::Released));

    grows(number(&store, key, Duration::from_millis(100)).await);
    eventually("the lock expires", async || !server.exists(key)).await;
    grows(number(&store, key, MINUTE).await);

    server.run::<()>(&["FLUSHALL"]);
    grows(number(&store, key, MINUTE).await);
    server.run::<()>(&["SCRIPT", "FLUSH"]);
    assert_eq!(store.release(key, "me").await, Ok(Released::Released));
    grows(number(&store, key, MINUTE).await);
    assert_eq!(store.release(key, "me").await, Ok(Released::Released));

    // A clock that is behind the latest fencing token.
    let ahead = (last + 3_600_000_000).to_string();
    server.run::<()>(&["SET", "lock||fence||{lock||app||r}", &ahead]);
    assert_eq!(number(&store, key, MINUTE).await, last + 3_600_000_001);
}

#[tokio::test]
async fn the_latest_number_lasts_longer_than_the_lock_and_is_none_of_it() {
    let (server, store) = server_and_store().await;
    let number = number(&store, "lock||app||r", MINUTE).await;
    let mut keys = server.run::<Vec<String>>(&["KEYS", "*"]);
    keys.sort();
    assert_eq!(keys, ["lock||app||r", "lock||fence||{lock||app||r}"]);
    assert_eq!(server.run::<String>(&["GET", "lock||app||r"]), "me");
    assert_eq!(server.run::<u64>(&["GET", &keys[1]]), number);
    let days = server.run::<u64>(&["PTTL", &keys[1]]) / 86_400_000;
    assert_eq!(days, 30);
    // A counter that another program made unreadable does not stop the lock.
    assert_eq!(store.release("lock||app||r", "me").await, Ok(Released::Released));
    server.run::<()>(&["SET", &keys[1], "soon"]);
    let Ok(Acquired::Granted(grant)) = store.acquire_fenced("lock||app||r", "me", MINUTE).await
    else {
        panic!("not granted")
    };
    assert!(grant.fencing_token > Some(number));
}

#[tokio::test]
async fn a_server_of_another_time_neither_grants_twice_nor_repeats_a_number() {
    let Some(mut clock) = Clock::make() else { return };
    let server = RedisServer::start_by(&clock, &[]);
    let store = connect(&server, &[]).await.unwrap();
    let first = number(&store, "k", MINUTE).await;
    assert_eq!(store.release("k", "me").await, Ok(Released::Released));
    clock.step(-3_600_000);
    let second = number(&store, "k", MINUTE).await;
    assert!(second > first, "{second} after {first}");
}

#[tokio::test]
async fn only_the_owner_extends_and_only_to_a_later_end_unless_asked() {
    let (server, store) = server_and_store().await;
    assert_eq!(store.extend("k", "me", MINUTE, false).await, Ok(Extended::Gone));
    assert_granted(store.acquire("k", "me", SECOND).await);
    assert_eq!(store.extend("k", "you", MINUTE, true).await, Ok(Extended::HeldByOther));

    let valid = valid_for(store.extend("k", "me", MINUTE, false).await);
    assert!((50_000..=60_000).contains(&valid), "{valid}");
    let left = server.run::<u64>(&["PTTL", "k"]);
    assert!(valid <= left && left <= 61_000, "{valid} of {left}");

    let valid = valid_for(store.extend("k", "me", SECOND, false).await);
    assert!((50_000..=60_000).contains(&valid), "{valid}");
    let valid = valid_for(store.extend("k", "me", 10 * SECOND, true).await);
    assert!((5_000..=10_000).contains(&valid), "{valid}");
    let left = server.run::<u64>(&["PTTL", "k"]);
    assert!(valid <= left && left <= 11_000, "{valid} of {left}");
}

#[tokio::test]
async fn an_extend_makes_the_lock_another_than_an_earlier_grant_of_its_owner() {
    let (server, store) = server_and_store().await;
    assert_granted(store.acquire("k", "me", MINUTE).await);
    let end = server.run::<u64>(&["PEXPIRETIME", "k"]);
    valid_for(store.extend("k", "me", SECOND, false).await);
    // Later by a millisecond, or more if the server's clock moved on within the script.
    let extended = server.run::<u64>(&["PEXPIRETIME", "k"]);
    assert!((end + 1..end + 1_000).contains(&extended), "{extended} after {end}");
}

#[tokio::test]
async fn an_extend_lasts_no_longer_because_the_servers_clock_was_set_back() {
    let Some(mut clock) = Clock::make() else { return };
    let server = RedisServer::start_by(&clock, &[]);
    let store = connect(&server, &[]).await.unwrap();
    assert_granted(store.acquire("k", "me", MINUTE).await);
    clock.step(-3_600_000);
    let valid = valid_for(store.extend("k", "me", 5 * SECOND, true).await);
    assert!(valid <= 5_000, "{valid}");
    let left = server.run::<i64>(&["PTTL", "k"]);
    assert!(left <= 5_000, "{left}");
}

#[tokio::test]
async fn a_lock_that_never_ends_is_given_an_end_only_if_asked() {
    let (server, store) = server_and_store().await;
    server.run::<()>(&["SET", "k", "me"]);
    let valid = valid_for(store.extend("k", "me", MINUTE, false).await);
    assert!((50_000..=60_000).contains(&valid), "{valid}");
    assert_eq!(server.run::<i64>(&["PTTL", "k"]), -1);
    let holding = store.inspect("k").await.unwrap().unwrap();
    assert_eq!((&*holding.owner, holding.time_left, holding.fencing_token), ("me", None, None));
    assert!(valid_for(store.extend("k", "me", 5 * SECOND, true).await) <= 5_000);
    assert!((1..=5_000).contains(&server.run::<i64>(&["PTTL", "k"])));
}

#[tokio::test]
async fn a_look_at_a_strange_lock_harms_nobody() {
    let (server, store) = server_and_store().await;
    let long = "o".repeat(3 << 19);
    assert_granted(store.acquire("k", &long, MINUTE).await);
    server.run::<()>(&["SET", "ages", "me", "PX", "900000000000000"]);
    assert_eq!(store.inspect("k").await.unwrap().unwrap().owner, long[..4096]);
    let left = store.inspect("ages").await.unwrap().unwrap().time_left;
    assert!(left > Some(800_000_000_000_000), "{left:?}");
}

#[tokio::test]
async fn a_number_that_is_too_large_is_refused_before_the_lock_is_taken() {
    let (server, store) = server_and_store().await;
    for number in ["9007199254740991", "1e300", "nan", "inf"] {
        server.run::<()>(&["SET", "lock||fence||{lock||r}", number]);
        let cause = not_done(store.acquire_fenced("lock||r", "me", MINUTE).await);
        assert!(
            cause.contains("the latest fencing token in lock||fence||{lock||r} is too large"),
            "{cause}"
        );
        assert!(!server.exists("lock||r"), "{number}");
    }
}

#[tokio::test]
async fn an_extend_that_comes_late_does_not_last_longer() {
    let (server, proxy, store) = behind_proxy(&[ONCE, ("readTimeout", "500ms")]).await;
    assert_granted(store.acquire("k", "me", MINUTE).await);
    server.run::<()>(&["PEXPIRE", "k", "3000"]);
    proxy.hold_replies();
    server.suspend();
    let extended = store.extend("k", "me", 4 * SECOND, false).await;
    assert!(matches!(extended, Err(Failure::Unknown(_))), "{extended:?}");
    let until = Instant::now() + Duration::from_millis(1_500);
    eventually("two seconds after the extend", async || Instant::now() > until).await;
    server.resume();
    eventually("the command is carried out", async || server.calls("eval") >= 1).await;
    // Four seconds from its sending, two of which are over.
    let left = server.run::<i64>(&["PTTL", "k"]);
    assert!(left < 2_500, "{left}");
}

#[tokio::test]
async fn a_numbered_grant_that_comes_late_is_not_taken() {
    let (server, proxy, slow) = behind_proxy(&[("readTimeout", "60s")]).await;
    let other = connect(&server, &[]).await.unwrap();
    proxy.hold_replies();
    let (outcome, ()) = tokio::join!(slow.acquire_fenced("k", "slow", SECOND), async {
        eventually("the lock is taken", async || server.exists("k")).await;
        eventually("another owner takes it", async || {
            is_granted(&other.acquire_fenced("k", "other", MINUTE).await)
        })
        .await;
        proxy.let_replies_through();
    });
    let cause = not_done(outcome);
    assert!(cause.ends_with(": the lock ran out before the reply came"), "{cause}");
}

#[tokio::test]
async fn a_numbered_acquire_without_a_reply_is_unknown() {
    let (_server, proxy, store) = behind_proxy(&[ONCE, ("readTimeout", "300ms")]).await;
    proxy.hold_replies();
    assert_unknown(&store.acquire_fenced("k", "me", MINUTE).await);
}

#[tokio::test]
async fn the_commands_that_the_documentation_lists_are_enough() {
    let server = RedisServer::start();
    let documentation = read("docs/redis.md");
    let line = documentation.lines().find(|line| line.starts_with("ACL SETUSER locker"));
    let (_, commands) = line.and_then(|line| line.split_once("-@all ")).expect("a list");
    let login = locker(&server, "s3cret-word", commands);
    let store = connect(&server, &login).await.unwrap();
    number(&store, "lock||k", MINUTE).await;
    valid_for(store.extend("lock||k", "me", 2 * MINUTE, false).await);
    assert_eq!(store.inspect("lock||k").await.unwrap().unwrap().owner, "me");
    assert_eq!(store.release("lock||k", "me").await, Ok(Released::Released));

    // Without the clock, a lease can be extended, and has no fencing token.
    let login = locker(&server, "s3cret-word", "+ping +set +get +del +eval +info +pttl +pexpire");
    let store = connect(&server, &login).await.unwrap();
    assert_granted(store.acquire("lock||k", "me", SECOND).await);
    let valid = valid_for(store.extend("lock||k", "me", MINUTE, false).await);
    assert!((50_000..=60_000).contains(&valid), "{valid}");
    assert_eq!(store.release("lock||k", "me").await, Ok(Released::Released));
    let cause = not_done(store.acquire_fenced("lock||k", "me", MINUTE).await);
    assert!(cause.contains("can't run this command"), "{cause}");
    assert!(!server.exists("lock||k"));
}

#[tokio::test]
async fn inspect_returns_the_owner_the_remaining_time_and_the_latest_token() {
    let (server, store) = server_and_store().await;
    assert_eq!(store.inspect("k").await, Ok(None));
    let first = number(&store, "k", MINUTE).await;
    let holding = store.inspect("k").await.unwrap().unwrap();
    assert_eq!((&*holding.owner, holding.fencing_token), ("me", Some(first)));
    let left = holding.time_left.unwrap();
    assert!((50_000..=61_000).contains(&left), "{left}");

    // A lock of daprd, which has no fencing token.
    assert_eq!(store.release("k", "me").await, Ok(Released::Released));
    server.run::<()>(&["SET", "k", "daprd's", "EX", "60", "NX"]);
    let holding = store.inspect("k").await.unwrap().unwrap();
    assert_eq!((&*holding.owner, holding.fencing_token), ("daprd's", Some(first)));

    server.run::<()>(&["DEL", "k"]);
    server.run::<()>(&["LPUSH", "k", "x"]);
    let cause = not_done(store.inspect("k").await);
    assert!(cause.contains("WRONGTYPE"), "{cause}");
}

#[tokio::test]
async fn a_user_who_may_use_the_keys_of_locks_only_inspects_them_without_their_tokens() {
    let server = RedisServer::start();
    server.run::<()>(&["ACL", "SETUSER", "app", "on", ">secret", "~lock||app||*", "+@all"]);
    let login = [("redisUsername", "app"), ("redisPassword", "secret")];
    let host = server.address();
    let settings = [&login[..], &[("redisHost", host.as_str())]].concat();
    let own = unconnected(&host, &login);
    let component = Adapter::with_settings(1, &settings).await;
    let both: [(&str, &dyn Store); 2] = [("library", &own), ("component", &component)];
    for (name, store) in both {
        let key = format!("lock||app||{name}");
        assert_eq!(store.inspect(&key).await, Ok(None), "{name}");
        assert_granted(store.acquire(&key, "me", MINUTE).await);
        let holding = store.inspect(&key).await.unwrap().unwrap();
        assert_eq!((&*holding.owner, holding.fencing_token), ("me", None), "{name}");
        let left = holding.time_left.unwrap();
        assert!((1..=61_000).contains(&left), "{name}: {left}");
        // The key of the lock itself is still refused, and the key of a token to those who need it.
        for outcome in [
            store.inspect("lock||other||k").await.map(drop),
            store.acquire_fenced("lock||app||fenced", "me", MINUTE).await.map(drop),
        ] {
            let cause = not_done(outcome);
            assert!(cause.contains("NOPERM"), "{name}: {cause}");
        }
    }
}

const R: Resource<'static> = Resource { store: "s", id: "r" };

/// Locks over the store, and a lease of six seconds that is renewed.
async fn kept(store: RedisStore) -> (Locks, Lease) {
    let locks = Locks::builder().store("s", Arc::new(store)).build().unwrap();
    let lease = locks.keep(R, &LeaseOptions::new(6 * SECOND), None).await.unwrap().unwrap();
    (locks, lease)
}

#[tokio::test]
async fn a_lease_that_is_kept_survives_lost_connections() {
    let (server, store) = server_and_store().await;
    let (_locks, lease) = kept(store).await;
    for round in 1..=4 {
        server.kill_connections();
        eventually("it is renewed", async || server.calls("eval") >= round).await;
    }
    assert!(lease.lost().now_or_never().is_none());
    assert_eq!(server.run::<String>(&["GET", "lock||r"]), lease.owner());
    assert_eq!(lease.release().await, Ok(UnlockStatus::Success));
}

#[tokio::test]
async fn a_lease_that_is_kept_is_lost_with_the_servers_data() {
    let (server, store) = server_and_store().await;
    let (_locks, lease) = kept(store).await;
    server.run::<()>(&["FLUSHALL"]);
    assert_eq!(lease.lost().await, Lost::Gone);
}

#[tokio::test]
async fn a_lease_that_is_kept_is_lost_when_its_server_stands_still() {
    let (server, store) = server_and_store().await;
    let (_locks, lease) = kept(store).await;
    server.suspend();
    let lost = lease.lost().await;
    assert!(matches!(lost, Lost::NotRenewed(_)), "{lost:?}");
    assert_eq!(lease.valid_for(), Duration::ZERO);
    server.resume();
    // Commands that were sent to the server meanwhile do not bring the lock back for long.
    eventually("the lock is free", async || !server.exists("lock||r")).await;
}

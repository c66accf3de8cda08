//! Both stores behind proxies that speak Redis's protocol, and on Valkey.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, SystemTime},
};

use futures_util::future::join_all;
use holdfast::store::{Acquired, Failure, Released, Store};
use holdfast_tests::{
    MINUTE, assert_granted, assert_recovers, eventually, is_granted,
    redis_proxy::{Program, RedisProxy},
    redis_server::RedisServer,
    redis_store::{ONCE, Setting, connect, connect_to},
};

use crate::{adapter::Adapter, assert_unknown, log::Log, not_done};

const SECRET: &str = "s3cret-word";

/// Makes a test of each case for each proxy.
macro_rules! behind_each {
    ($($case:ident,)*) => {
        mod envoy {
            $(#[tokio::test]
            async fn $case() {
                super::$case(super::Program::Envoy).await;
            })*
        }
        mod twemproxy {
            $(#[tokio::test]
            async fn $case() {
                super::$case(super::Program::Twemproxy).await;
            })*
        }
    };
}

behind_each! {
    a_lock_has_one_owner_and_expires,
    the_start_warns_once_of_what_a_proxy_hides,
    many_callers_take_turns,
    a_server_that_is_killed_and_started_again_is_used_again,
    a_server_that_stalls_leaves_the_outcome_unknown,
    the_password_must_be_right,
}

/// The stores of the library and of the component.
async fn both(address: &str, settings: &[Setting<'_>]) -> [Arc<dyn Store>; 2] {
    with_instances(4, address, settings).await
}

/// The same, with this many instances of the component. Each has a connection of its own.
async fn with_instances(
    instances: usize,
    address: &str,
    settings: &[Setting<'_>],
) -> [Arc<dyn Store>; 2] {
    let native = connect_to(address, settings).await.unwrap();
    let all = [&[("redisHost", address)], settings].concat();
    [Arc::new(native), Arc::new(Adapter::with_settings(instances, &all).await)]
}

async fn assert_one_owner(store: &dyn Store) {
    assert_one_owner_of("k", store).await;
}

async fn assert_one_owner_of(key: &str, store: &dyn Store) {
    assert_granted(store.acquire(key, "me", MINUTE).await);
    assert_eq!(store.acquire(key, "me", MINUTE).await, Ok(Acquired::Held));
    assert_eq!(store.acquire(key, "you", MINUTE).await, Ok(Acquired::Held));
    assert_eq!(store.release(key, "you").await, Ok(Released::HeldByOther));
    assert_eq!(store.release(key, "me").await, Ok(Released::Released));
    assert_eq!(store.release(key, "me").await, Ok(Released::Missing));
}

async fn a_lock_has_one_owner_and_expires(program: Program) {
    let server = RedisServer::start();
    let Some(proxy) = RedisProxy::start(program, &server, "") else { return };
    for store in both(&proxy.address(), &[]).await {
        assert_one_owner(&*store).await;
        assert_granted(store.acquire("k", "me", Duration::from_millis(300)).await);
        eventually("the lock expires", async || {
            is_granted(&store.acquire("k", "you", MINUTE).await)
        })
        .await;
        assert_eq!(server.run::<String>(&["GET", "k"]), "you");
        let left: i64 = server.run(&["PTTL", "k"]);
        assert!((1..=60_000).contains(&left), "{left}");
        assert_eq!(store.release("k", "you").await, Ok(Released::Released));
        assert_eq!(server.run::<i64>(&["DBSIZE"]), 0);
    }
}

async fn the_start_warns_once_of_what_a_proxy_hides(program: Program) {
    let server = RedisServer::start_with(&["--appendonly", "yes"]);
    let Some(proxy) = RedisProxy::start(program, &server, "") else { return };
    let (log, guard) = Log::start();
    let store = connect_to(&proxy.address(), &[]).await.unwrap();
    assert_one_owner(&store).await;
    drop(guard);
    let text = log.text();
    let reason = match program {
        Program::Envoy => "(a proxy answers in its place)",
        Program::Twemproxy => "(it closes the connection instead of answering)",
    };
    assert_eq!(text.matches("WARN").count(), 2, "{text}");
    for hidden in ["the server does not describe itself ", "a time of the server's clock "] {
        assert!(text.contains(&format!("{hidden}{reason}")), "{text}");
    }
}

async fn many_callers_take_turns(program: Program) {
    let server = RedisServer::start();
    let Some(proxy) = RedisProxy::start(program, &server, "") else { return };
    for store in both(&proxy.address(), &[]).await {
        let store = &*store;
        let names: Vec<_> = (0..64).map(|n| format!("n{n}")).collect();
        let outcomes = join_all(names.iter().map(|name| store.acquire("k", name, MINUTE))).await;
        let granted = outcomes.iter().filter(|outcome| is_granted(outcome)).count();
        let held = outcomes.iter().filter(|outcome| **outcome == Ok(Acquired::Held)).count();
        assert_eq!((granted, held), (1, 63), "{outcomes:?}");
        let holder: String = server.run(&["GET", "k"]);
        assert_eq!(store.release("k", &holder).await, Ok(Released::Released));

        let inside = AtomicUsize::new(0);
        let turn = async |name: &String| {
            eventually("its turn comes", async || {
                is_granted(&store.acquire("k", name, MINUTE).await)
            })
            .await;
            assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0);
            tokio::task::yield_now().await;
            inside.fetch_sub(1, Ordering::SeqCst);
            assert_eq!(store.release("k", name).await, Ok(Released::Released));
        };
        join_all(names.iter().map(turn)).await;
        assert_eq!(server.run::<i64>(&["DBSIZE"]), 0);
    }
}

async fn a_server_that_is_killed_and_started_again_is_used_again(program: Program) {
    let mut server = RedisServer::start();
    let Some(proxy) = RedisProxy::start(program, &server, "") else { return };
    for store in both(&proxy.address(), &[ONCE]).await {
        for _ in 0..2 {
            assert_granted(store.acquire("k", "me", MINUTE).await);
            server.kill();
            let is_named = |outcome: Result<Acquired, Failure>| match (program, outcome) {
                // Envoy does not distinguish a server that is down from a lost connection.
                (Program::Envoy, Err(Failure::Unknown(outcome))) => {
                    outcome.cause.ends_with(": upstream failure")
                }
                (Program::Twemproxy, Err(Failure::NotDone(cause))) => {
                    cause.ends_with(": ERR Connection refused")
                }
                (_, Err(_)) => false,
                (_, Ok(outcome)) => panic!("{outcome:?}"),
            };
            eventually("the cause is named", async || {
                is_named(store.acquire("other", "me", MINUTE).await)
            })
            .await;
            server.restart();
            assert_recovers(&*store).await;
            assert_eq!(server.run::<i64>(&["DBSIZE"]), 0);
        }
    }
}

async fn a_server_that_stalls_leaves_the_outcome_unknown(program: Program) {
    let server = RedisServer::start();
    let Some(proxy) = RedisProxy::start(program, &server, "") else { return };
    // So that the component sends its commands on the connection that it has.
    for store in with_instances(1, &proxy.address(), &[]).await {
        assert_granted(store.acquire("held", "me", MINUTE).await);
        server.suspend();
        let before = SystemTime::now();
        let taken = store.acquire("k", "me", MINUTE).await;
        let freed = store.release("held", "me").await;
        server.resume();
        assert_unknown(&taken);
        let Err(Failure::Unknown(taken)) = taken else { return };
        let until = taken.held_until().unwrap();
        assert!(until >= before + MINUTE);
        assert!(matches!(freed, Err(Failure::Unknown(_))), "{freed:?}");

        assert_recovers(&*store).await;
        // The proxy gave up, and the server ran the command.
        eventually("the lock is taken", async || server.exists("k")).await;
        let end: u64 = server.run(&["PEXPIRETIME", "k"]);
        assert!(SystemTime::UNIX_EPOCH + Duration::from_millis(end) <= until);
        assert_eq!(store.release("k", "me").await, Ok(Released::Released));
        eventually("the lock is free", async || !server.exists("held")).await;
    }
}

async fn the_password_must_be_right(program: Program) {
    let server = RedisServer::start_with_password(SECRET);
    let Some(proxy) = RedisProxy::start(program, &server, SECRET) else { return };
    for store in both(&proxy.address(), &[("redisPassword", SECRET)]).await {
        assert_one_owner(&*store).await;
    }
    for (settings, expected) in
        [(vec![ONCE, ("redisPassword", "wrong")], "invalid"), (vec![ONCE], "NOAUTH")]
    {
        let error = connect_to(&proxy.address(), &settings).await.unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
}

/// Commands without a key, such as the questions on a new connection, go to the server of all other keys, or get no
/// answer.
#[tokio::test]
async fn envoy_may_lead_locks_to_their_server_by_the_prefix_of_their_keys() {
    for leads_the_rest in [true, false] {
        let (server, other) = (RedisServer::start(), RedisServer::start());
        let others = leads_the_rest.then_some(&other);
        let Some(proxy) = RedisProxy::start_by_prefix("lock||", &server, others) else { return };
        for store in both(&proxy.address(), &[ONCE]).await {
            assert_one_owner_of("lock||app||k", &*store).await;
            assert_granted(store.acquire("lock||app||k", "me", MINUTE).await);
            assert_eq!(server.run::<String>(&["GET", "lock||app||k"]), "me");
            assert_eq!(store.release("lock||app||k", "me").await, Ok(Released::Released));
            assert_eq!(server.run::<i64>(&["DBSIZE"]), 0);
            assert_eq!(
                (other.calls("set"), other.calls("eval"), other.calls("evalsha")),
                (0, 0, 0)
            );
            if !leads_the_rest {
                let cause = not_done(store.acquire("k", "me", MINUTE).await);
                assert!(cause.ends_with(": no upstream host"), "{cause}");
            }
        }
    }
}

#[tokio::test]
async fn a_proxy_that_does_not_know_a_command_names_the_setting() {
    const DATABASE: &[Setting<'_>] = &[ONCE, ("redisDB", "3")];
    const REPLICAS: &[Setting<'_>] = &[ONCE, ("minReplicas", "1")];
    const USER: &[Setting<'_>] = &[ONCE, ("redisUsername", "me"), ("redisPassword", SECRET)];

    let server = RedisServer::start();
    // The component knows no replicas.
    for (program, settings, expected, of_component) in [
        (Program::Envoy, DATABASE, "leave redisDB out", Some("leave redisDB out")),
        (Program::Twemproxy, DATABASE, "leave redisDB out", Some("leave REDIS_DB out")),
        (Program::Twemproxy, USER, "leave redisUsername out", Some("leave REDIS_USERNAME out")),
        (Program::Envoy, REPLICAS, "minReplicas", None),
        (Program::Twemproxy, REPLICAS, "leave minReplicas out", None),
    ] {
        let Some(proxy) = RedisProxy::start(program, &server, "") else { continue };
        let address = proxy.address();
        let error = connect_to(&address, settings).await.unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
        let Some(expected) = of_component else { continue };
        let all = [&[("redisHost", &*address)], settings].concat();
        let component = Adapter::with_settings(1, &all).await;
        let cause = not_done(component.acquire("k", "me", MINUTE).await);
        assert!(cause.contains(expected), "{cause}");
    }
}

#[tokio::test]
async fn a_lock_in_valkey_has_one_owner_and_expires_by_its_clock() {
    let Some(server) = RedisServer::start_valkey() else { return };
    let store = connect(&server, &[]).await.unwrap();
    assert_one_owner(&store).await;
    assert!(server.calls("time") > 0);
    let adapter = Adapter::with_settings(1, &[("redisHost", &server.address())]).await;
    assert_one_owner(&adapter).await;
    assert_eq!(server.run::<i64>(&["DBSIZE"]), 0);
}

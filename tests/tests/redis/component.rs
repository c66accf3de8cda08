//! The special features of the component `adapters/redis-store`: its environment, the connection that it keeps between
//! calls, and its size.

use std::{
    fs,
    time::{Duration, Instant},
};

use holdfast::{
    store::{Acquired, Released, Store},
    types::AcquireCommand,
};
use holdfast_tests::{
    LONG, MINUTE, STORE, assert_granted, eventually, free_port, redis_server::RedisServer,
};
use tokio::{io::AsyncReadExt, net::TcpStream, time::timeout};
use wasmtime_wasi::WasiCtx;
use wit_component::DecodedWasm;

use crate::{adapter::Adapter, not_done};

/// Starts one instance with these environment variables.
async fn start(variables: &[(&str, &str)]) -> Adapter {
    let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    Adapter::start(1, &variables.iter().map(owned).collect::<Vec<_>>()).await
}

#[tokio::test]
async fn one_connection_serves_all_calls() {
    let server = RedisServer::start();
    let store = start(&[("REDIS_HOST", &server.address())]).await;
    assert_eq!(server.clients(), 0);
    for _ in 0..3 {
        assert_granted(store.acquire("k", "me", MINUTE).await);
        assert_eq!(store.acquire("k", "you", MINUTE).await, Ok(Acquired::Held));
        assert_eq!(store.release("k", "you").await, Ok(Released::HeldByOther));
        assert_eq!(store.release("k", "me").await, Ok(Released::Released));
        assert_eq!(store.release("k", "me").await, Ok(Released::Missing));
        assert_eq!(server.clients(), 1);
    }
    // The script is sent by its digest.
    assert!(server.run::<String>(&["CLIENT", "LIST"]).contains("cmd=evalsha"));
}

#[tokio::test]
async fn a_connection_that_is_idle_or_old_is_replaced() {
    for setting in ["IDLE_TIMEOUT", "MAX_CONN_AGE"] {
        let server = RedisServer::start();
        let store = start(&[("REDIS_HOST", &server.address()), (setting, "1ms")]).await;
        assert_granted(store.acquire("k", "me", MINUTE).await);
        let before = server.connections_received();
        // The limit passes, which only the next call shows.
        tokio::time::sleep(Duration::from_millis(2)).await;
        assert_eq!(store.release("k", "me").await, Ok(Released::Released));
        // The test's own question takes a connection too.
        assert_eq!(server.connections_received(), before + 2, "{setting}");
        eventually("the old one is closed", async || server.clients() == 1).await;
    }
}

#[tokio::test]
async fn a_connection_closed_by_the_server_gets_no_command() {
    let server = RedisServer::start();
    let store = start(&[("REDIS_HOST", &server.address())]).await;
    for _ in 0..3 {
        assert_granted(store.acquire("k", "me", MINUTE).await);
        let mut another = TcpStream::connect(server.address()).await.unwrap();
        server.kill_connections();
        // Both connections end together: once the test sees the end of one, the store's socket has the end of the
        // other.
        let end = timeout(LONG, another.read(&mut [0])).await.expect("an end");
        assert_eq!(end.unwrap(), 0);
        assert_eq!(store.release("k", "me").await, Ok(Released::Released));
    }
}

#[tokio::test]
async fn a_command_whose_write_times_out_is_not_done() {
    let server = RedisServer::start();
    let store = start(&[
        ("REDIS_HOST", &server.address()),
        ("WRITE_TIMEOUT", "500ms"),
        ("REDIS_MAX_RETRIES", "-1"),
    ])
    .await;
    assert_granted(store.acquire("k", "me", MINUTE).await);
    server.suspend();
    // Larger than the buffers between the two.
    let owner = "me".repeat(12 << 20);
    let outcome = store.acquire("long", &owner, MINUTE).await;
    server.resume();
    assert_eq!(not_done(outcome), format!("redis {}: sending timed out", server.address()));
    assert_eq!(store.release("k", "me").await, Ok(Released::Released));
    assert_eq!(server.run::<i64>(&["DBSIZE"]), 0);
}

#[tokio::test]
async fn redis_host_may_be_a_host_name() {
    let server = RedisServer::start();
    let store = start(&[("REDIS_HOST", &format!("localhost:{}", server.port()))]).await;
    assert_granted(store.acquire("k", "me", MINUTE).await);

    let store = start(&[("REDIS_HOST", "no-such-host.invalid"), ("REDIS_MAX_RETRIES", "-1")]).await;
    let cause = not_done(store.acquire("k", "me", MINUTE).await);
    assert!(cause.starts_with("redis no-such-host.invalid:6379: name lookup"), "{cause}");
}

#[tokio::test]
async fn the_failure_names_the_missing_grant_of_the_runtime() {
    let address = format!("127.0.0.1:{}", free_port());
    let nothing = WasiCtx::builder().env("REDIS_HOST", &address).build();
    let store = Adapter::start_with(nothing).await;
    assert_eq!(
        not_done(store.acquire("k", "me", MINUTE).await),
        format!(
            "redis {address}: the runtime does not allow connections (wasmtime: -S inherit-network)"
        )
    );
    let no_names =
        WasiCtx::builder().inherit_network().allow_tcp(true).env("REDIS_HOST", "localhost").build();
    let store = Adapter::start_with(no_names).await;
    assert_eq!(
        not_done(store.release("k", "me").await),
        "redis localhost:6379: name lookup failed, or the runtime does not allow it (wasmtime: -S \
         allow-ip-name-lookup)"
    );
}

#[tokio::test]
async fn a_login_that_is_refused_names_the_variable() {
    let server = RedisServer::start_with_password("secret");
    let host = server.address();
    for (password, code, hint) in [
        ("", "NOAUTH", " (set REDIS_PASSWORD)"),
        ("wrong", "WRONGPASS", " (see REDIS_USERNAME and REDIS_PASSWORD)"),
    ] {
        let store = start(&[("REDIS_HOST", &host), ("REDIS_PASSWORD", password)]).await;
        let cause = not_done(store.acquire("k", "me", MINUTE).await);
        assert!(cause.contains(code) && cause.ends_with(hint), "{cause}");
    }
}

#[tokio::test]
async fn each_store_has_its_own_server() {
    let (one, two) = (RedisServer::start(), RedisServer::start());
    let store = start(&[
        ("HOLDFAST_STORES", "one, lock-two, three"),
        ("ONE_REDIS_HOST", &one.address()),
        ("LOCK_TWO_REDIS_HOST", &two.address()),
        ("LOCK_TWO_KEY_PREFIX", "Name"),
        ("APP_ID", "app"),
    ])
    .await;
    let owned = |name: &str, key_prefix: Option<&str>| {
        (name.to_owned(), key_prefix.map(str::to_owned), "app".to_owned())
    };
    let expected = [owned("one", None), owned("lock-two", Some("name")), owned("three", None)];
    assert_eq!(store.stores().await, expected);

    for (name, server) in [("one", &one), ("lock-two", &two)] {
        assert_granted(store.acquire_in(name, "k", name, MINUTE).await);
        assert_eq!(server.run::<String>(&["GET", "k"]), name);
    }
    assert_eq!(
        not_done(store.acquire_in("three", "k", "me", MINUTE).await),
        "lock store three: environment variable THREE_REDIS_HOST is not set"
    );
    let unknown = not_done(store.acquire_in("four", "k", "me", MINUTE).await);
    assert_eq!(unknown, "store four not found");
}

#[tokio::test]
async fn it_waits_for_a_lock_that_is_held() {
    let server = RedisServer::start();
    let store = start(&[("REDIS_HOST", &server.address())]).await;
    let acquire = |wait: Duration| AcquireCommand {
        store: STORE.to_owned(),
        key: "k".to_owned(),
        owner: "me".to_owned(),
        ttl: 60_000,
        wait: u64::try_from(wait.as_millis()).unwrap(),
        fenced: true,
    };
    server.run::<()>(&["SET", "k", "other"]);
    let begun = Instant::now();
    let short = Duration::from_millis(100);
    assert_eq!(store.carry_out(acquire(short)).await, Ok(Acquired::Held));
    assert!(begun.elapsed() >= short);

    let (outcome, ()) = tokio::join!(store.carry_out(acquire(MINUTE)), async {
        eventually("it polls", async || server.calls("eval") >= 5).await;
        server.run::<()>(&["DEL", "k"]);
    });
    let Ok(Acquired::Granted(grant)) = outcome else { panic!("{outcome:?}") };
    assert!(grant.fencing_token.is_some() && grant.valid_for > Some(30_000), "{grant:?}");
}

#[tokio::test]
async fn its_owners_are_fresh() {
    let store = start(&[]).await;
    let (one, two) = (store.fresh_owner().await, store.fresh_owner().await);
    assert_ne!(one, two);
    assert_eq!((one.len(), two.len()), (32, 32));
}

#[tokio::test]
async fn a_time_to_live_that_redis_refuses_is_a_failure_and_no_trap() {
    let server = RedisServer::start();
    let store = start(&[("REDIS_HOST", &server.address())]).await;
    let cause = not_done(store.acquire("k", "me", Duration::from_millis(u64::MAX)).await);
    assert!(cause.contains("ERR "), "{cause}");
    assert_granted(store.acquire("k", "me", MINUTE).await);
}

#[test]
fn the_component_is_small_and_imports_only_wasi() {
    let wasm = fs::read(env!("HOLDFAST_REDIS_STORE")).unwrap();
    assert!(wasm.len() < 122_000, "{} bytes", wasm.len());
    let Ok(DecodedWasm::Component(resolve, world)) = wit_component::decode(&wasm) else {
        panic!("no component");
    };
    let world = &resolve.worlds[world];
    let mut imports: Vec<_> = world.imports.keys().map(|key| resolve.name_world_key(key)).collect();
    // An interface without functions asks nothing of the host.
    imports.retain(|name| name != "holdfast:lock/types@0.1.0");
    assert!(imports.iter().all(|name| name.starts_with("wasi:")), "{imports:?}");
    for unneeded in ["wasi:cli/std", "wasi:filesystem", "wasi:http", "wasi:sockets/udp"] {
        assert!(!imports.iter().any(|name| name.starts_with(unneeded)), "{imports:?}");
    }
    let exports: Vec<_> = world.exports.keys().map(|key| resolve.name_world_key(key)).collect();
    assert_eq!(exports, ["holdfast:lock/store@0.1.0"]);
}

#[tokio::test]
async fn every_call_names_a_setting_that_cannot_be_used() {
    let store = start(&[("REDIS_HOST", "127.0.0.1:1"), ("ENABLE_TLS", "true")]).await;
    let expected = "lock store lockstore: environment variable ENABLE_TLS asks for TLS, which this \
                    component does not support";
    for _ in 0..2 {
        assert_eq!(not_done(store.acquire("k", "me", MINUTE).await), expected);
        assert_eq!(not_done(store.release("k", "me").await), expected);
    }
    let stores = store.stores().await;
    assert_eq!(stores, [(STORE.to_owned(), None, String::new())]);
}

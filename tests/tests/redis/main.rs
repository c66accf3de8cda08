//! The two stores in Redis: the library's own and the component `adapters/redis-store`.
//!
//! - `lock.rs`: the answers of the library's store, and its keys and values.
//! - `lease.rs`: leases, and the numbers of their grants.
//! - `watch.rs`: waiting for locks, and losing them, by the notifications of the server.
//! - `handover.rs`: the next owner of a lock.
//! - `admin.rs`: listing locks, and ending any hold.
//! - `keys.rs`: the keys that resource files ask for.
//! - `questions.rs`: the questions to a server when a connection is opened, and the effect of the answers.
//! - `connect.rs`: passwords, TLS, and servers that cannot keep locks.
//! - `pool.rs`: the settings of its connections.
//! - `faults.rs`: failures of the server and the network.
//! - `time.rs`: commands and replies that come late.
//! - `proxies.rs`: both behind proxies that speak Redis's protocol, and on Valkey.
//! - `quorum.rs`: several servers of which a majority decides.
//! - `component.rs`: the special features of the component.
//! - `sentinel.rs`: the library's store behind Redis Sentinel.
//! - `cluster.rs`: the library's store in a Redis Cluster.
//! - `replicas.rs`: replicas that must have a lock.
//! - `sentinel_group.rs`, `redis_cluster.rs`: the groups of servers that tests start.
//! - `narrow_proxy.rs`: a proxy that does not know some commands.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../common/adapter.rs"]
mod adapter;
mod admin;
mod cluster;
mod component;
mod connect;
mod faults;
mod handover;
mod keys;
mod lease;
mod lock;
mod log;
mod narrow_proxy;
mod pool;
mod proxies;
mod questions;
mod quorum;
mod redis_cluster;
mod replicas;
mod sentinel;
mod sentinel_group;
mod time;
mod watch;

use holdfast::store::{Acquired, Failure};
use holdfast_tests::{
    redis_server::RedisServer,
    redis_store::{PATIENT, Setting},
};

/// Retries that follow each other quickly.
const QUICK_RETRIES: Setting = ("redisMaxRetryInterval", "20ms");

/// Connections that are replaced all the time: calls that are under way on a replaced connection go on.
const SHORT_LIVED: [Setting; 4] =
    [PATIENT, ("minIdleConns", "1"), ("maxConnAge", "1ms"), ("idleCheckFrequency", "100ms")];

/// The cause of a call that was not done.
fn not_done<T: std::fmt::Debug>(outcome: Result<T, Failure>) -> String {
    match outcome {
        Err(Failure::NotDone(cause)) => cause,
        other => panic!("{other:?}"),
    }
}

/// Checks that nobody knows whether an acquire was carried out.
fn assert_unknown(outcome: &Result<Acquired, Failure>) {
    assert!(matches!(outcome, Err(Failure::Unknown(_))), "{outcome:?}");
}

/// Checks that an acquire ended because another server has taken the place of the one that it was sent to.
fn assert_replaced(outcome: Result<Acquired, Failure>) {
    match outcome {
        Err(Failure::Unknown(unknown)) => {
            let expected = "another server has taken the place of the master";
            assert!(unknown.cause.ends_with(expected), "{}", unknown.cause);
        }
        other => panic!("{other:?}"),
    }
}

/// Whether a SET is under way on a connection that its client has replaced: a later one is open.
fn has_set_on_a_replaced_connection(server: &RedisServer) -> bool {
    let clients: String = server.run(&["CLIENT", "LIST"]);
    let id = |client: &str| client.split([' ', '=']).nth(1)?.parse::<u64>().ok();
    let under_way = clients.lines().find(|client| client.contains(" cmd=set")).and_then(id);
    let others = clients.lines().filter(|client| !client.contains(" cmd=client"));
    under_way.is_some_and(|under_way| others.filter_map(id).any(|other| other > under_way))
}

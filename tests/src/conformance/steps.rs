//! Steps that the cases share.

use std::sync::Arc;

use holdfast::store::{Acquired, Failure, Released, Store};

use super::redis::Redis;
use crate::{MINUTE, is_granted, redis_server::RedisServer, redis_store::Setting};

pub(super) const SOON: Setting = ("readTimeout", "500ms");

/// Acquires a free key.
pub(super) async fn take(store: &dyn Store, key: &str, owner: &str) {
    let outcome = store.acquire(key, owner, MINUTE).await;
    assert!(is_granted(&outcome), "{outcome:?}");
}

pub(super) async fn assert_held(store: &dyn Store, key: &str, owner: &str) {
    assert_eq!(store.acquire(key, owner, MINUTE).await, Ok(Acquired::Held));
}

pub(super) async fn assert_released(store: &dyn Store, key: &str, owner: &str, expected: Released) {
    assert_eq!(store.release(key, owner).await, Ok(expected));
}

/// Opens a store on an address.
pub(super) async fn open_at(
    redis: &dyn Redis,
    address: &str,
    settings: &[Setting<'_>],
) -> Arc<dyn Store> {
    let all = [&[("redisHost", address)], settings].concat();
    redis.open(&all).await.unwrap_or_else(|cause| panic!("{cause}"))
}

/// Opens a store on a server.
pub(super) async fn open(
    redis: &dyn Redis,
    server: &RedisServer,
    settings: &[Setting<'_>],
) -> Arc<dyn Store> {
    open_at(redis, &server.address(), settings).await
}

/// Why a store cannot be used. Some stores say so when they are opened, the others at each call.
pub(super) async fn refusal(redis: &dyn Redis, address: &str, settings: &[Setting<'_>]) -> String {
    let all = [&[("redisHost", address)], settings].concat();
    match redis.open(&all).await {
        Err(cause) => cause,
        Ok(store) => not_done(store.acquire("k", "me", MINUTE).await),
    }
}

/// The cause of a call that was not done.
pub(super) fn not_done<T: std::fmt::Debug>(outcome: Result<T, Failure>) -> String {
    match outcome {
        Err(Failure::NotDone(cause)) => cause,
        other => panic!("{other:?}"),
    }
}

//! A lock has one owner at a time, until the owner releases it or it expires.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use futures_util::future::join_all;
use holdfast::store::{Acquired, Released, Store};

use super::steps::{assert_held, assert_released, take};
use crate::{MINUTE, eventually, is_granted};

pub(super) async fn grant(store: Arc<dyn Store>) {
    take(&*store, "k", "me").await;
}

pub(super) async fn held(store: Arc<dyn Store>) {
    take(&*store, "k", "me").await;
    assert_held(&*store, "k", "you").await;
    assert_held(&*store, "k", "me").await;
}

pub(super) async fn release_by_owner(store: Arc<dyn Store>) {
    take(&*store, "k", "me").await;
    assert_released(&*store, "k", "me", Released::Released).await;
    take(&*store, "k", "you").await;
    assert_released(&*store, "k", "me", Released::HeldByOther).await;
}

pub(super) async fn release_by_other(store: Arc<dyn Store>) {
    take(&*store, "k", "me").await;
    for other in ["you", "m", "mee", "ME", ""] {
        assert_released(&*store, "k", other, Released::HeldByOther).await;
    }
    assert_held(&*store, "k", "you").await;
    assert_released(&*store, "k", "me", Released::Released).await;
}

pub(super) async fn release_of_nothing(store: Arc<dyn Store>) {
    assert_released(&*store, "k", "me", Released::Missing).await;
    take(&*store, "k", "me").await;
    assert_released(&*store, "k", "me", Released::Released).await;
    assert_released(&*store, "k", "me", Released::Missing).await;
}

pub(super) async fn expiry(store: Arc<dyn Store>) {
    let ttl = Duration::from_millis(300);
    let before = Instant::now();
    let outcome = store.acquire("k", "me", ttl).await;
    assert!(is_granted(&outcome), "{outcome:?}");
    eventually("the lock expires", async || is_granted(&store.acquire("k", "you", MINUTE).await))
        .await;
    // Redis counts whole milliseconds, from the time at which it began to process its events.
    let rounding = Duration::from_millis(2);
    assert!(before.elapsed() + rounding >= ttl, "expired after {:?}", before.elapsed());
    assert_released(&*store, "k", "me", Released::HeldByOther).await;

    let outcome = store.acquire("alone", "me", ttl).await;
    assert!(is_granted(&outcome), "{outcome:?}");
    // Nobody asks for it before: it has to expire though no call removes it.
    tokio::time::sleep(ttl).await;
    eventually("nobody holds a lock that has expired", async || {
        store.release("alone", "you").await == Ok(Released::Missing)
    })
    .await;
}

pub(super) async fn longest(store: Arc<dyn Store>) {
    let ttl = Duration::from_secs(i32::MAX.unsigned_abs().into());
    let outcome = store.acquire("k", "me", ttl).await;
    assert!(is_granted(&outcome), "{outcome:?}");
    assert_held(&*store, "k", "you").await;
    assert_released(&*store, "k", "me", Released::Released).await;
}

pub(super) async fn keys_are_apart(store: Arc<dyn Store>) {
    for key in ["k", "K", "k ", " k", "k\0", "kk", ""] {
        take(&*store, key, key).await;
    }
    assert_released(&*store, "k", "k", Released::Released).await;
    for key in ["K", "k ", " k", "k\0", "kk", ""] {
        assert_held(&*store, key, "me").await;
    }
}

pub(super) async fn one_of_many(store: Arc<dyn Store>) {
    let tries = (0..60).map(|n| {
        let store = &store;
        async move { store.acquire("k", &n.to_string(), MINUTE).await }
    });
    let outcomes = join_all(tries).await;
    assert_eq!(outcomes.iter().filter(|outcome| is_granted(outcome)).count(), 1, "{outcomes:?}");
    let held = outcomes.iter().filter(|outcome| **outcome == Ok(Acquired::Held)).count();
    assert_eq!(held, 59, "{outcomes:?}");
}

pub(super) async fn exclusion(store: Arc<dyn Store>) {
    let inside = AtomicUsize::new(0);
    let caller = |n: usize| {
        let (store, inside) = (&store, &inside);
        async move {
            let owner = n.to_string();
            for _ in 0..10 {
                eventually("its turn", async || {
                    is_granted(&store.acquire("k", &owner, MINUTE).await)
                })
                .await;
                assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0, "two hold the lock");
                tokio::task::yield_now().await;
                inside.fetch_sub(1, Ordering::SeqCst);
                assert_released(&**store, "k", &owner, Released::Released).await;
            }
        }
    };
    join_all((0..8).map(caller)).await;
}

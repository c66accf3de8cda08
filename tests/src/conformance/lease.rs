//! A lease is a lock that its owner can extend and number, and that everybody can look at.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use holdfast::{
    LeaseOptions, Locks, Resource, UnlockStatus,
    store::{Acquired, Extended, Failure, Grant, Holding, Released, Store},
};

use super::steps::{assert_released, take};
use crate::{LONG, MINUTE, SECOND, eventually, is_granted};

/// Takes a free key, and returns the fencing token.
async fn number(store: &dyn Store, ttl: Duration) -> u64 {
    match store.acquire_fenced("k", "me", ttl).await {
        Ok(Acquired::Granted(Grant { fencing_token: Some(number), .. })) => number,
        other => panic!("{other:?}"),
    }
}

/// For how many seconds an extended lock is valid.
fn valid_for(extended: &Result<Extended, Failure>) -> u64 {
    match extended {
        Ok(Extended::Extended(valid_for)) => valid_for / 1_000,
        other => panic!("{other:?}"),
    }
}

pub(super) async fn validity(store: Arc<dyn Store>) {
    for outcome in
        [store.acquire("a", "me", MINUTE).await, store.acquire_fenced("b", "me", MINUTE).await]
    {
        let Ok(Acquired::Granted(grant)) = outcome else { panic!("{outcome:?}") };
        // A store that does not report it means the time to live.
        let valid_for = grant.valid_for.unwrap_or(60_000);
        assert!((30_000..=60_000).contains(&valid_for), "{grant:?}");
    }
}

pub(super) async fn numbers(store: Arc<dyn Store>) {
    let first = number(&*store, MINUTE).await;
    assert_eq!(store.acquire_fenced("k", "you", MINUTE).await, Ok(Acquired::Held));
    assert_released(&*store, "k", "me", Released::Released).await;
    let second = number(&*store, Duration::from_millis(50)).await;
    assert!(second > first, "{second} after {first}");
    eventually("the lock expires", async || {
        store.release("k", "you").await == Ok(Released::Missing)
    })
    .await;
    let third = number(&*store, MINUTE).await;
    assert!(third > second, "{third} after {second}");
}

pub(super) async fn extend_by_owner(store: Arc<dyn Store>) {
    let ttl = 2 * SECOND;
    let begun = Instant::now();
    let outcome = store.acquire("k", "me", ttl).await;
    assert!(is_granted(&outcome), "{outcome:?}");
    assert!(valid_for(&store.extend("k", "me", MINUTE, false).await) <= 60);
    // Without the extend it would have ended.
    tokio::time::sleep(ttl.saturating_sub(begun.elapsed()) + Duration::from_millis(100)).await;
    assert_released(&*store, "k", "you", Released::HeldByOther).await;
    assert!(valid_for(&store.extend("k", "me", SECOND, true).await) <= 1);
    eventually("the lock expires", async || {
        store.release("k", "you").await == Ok(Released::Missing)
    })
    .await;
}

pub(super) async fn extend_by_other(store: Arc<dyn Store>) {
    assert_eq!(store.extend("k", "me", MINUTE, false).await, Ok(Extended::Gone));
    take(&*store, "k", "me").await;
    for other in ["you", "m", "ME", ""] {
        assert_eq!(store.extend("k", other, MINUTE, true).await, Ok(Extended::HeldByOther));
    }
    assert_released(&*store, "k", "me", Released::Released).await;
    assert_eq!(store.extend("k", "me", MINUTE, false).await, Ok(Extended::Gone));
}

pub(super) async fn extend_never_shortens(store: Arc<dyn Store>) {
    take(&*store, "k", "me").await;
    assert!(valid_for(&store.extend("k", "me", SECOND, false).await) >= 30);
    assert!(valid_for(&store.extend("k", "me", 2 * MINUTE, false).await) >= 90);
    assert!(valid_for(&store.extend("k", "me", 10 * SECOND, true).await) <= 10);
}

pub(super) async fn inspect(store: Arc<dyn Store>) {
    assert_eq!(store.inspect("k").await, Ok(None));
    let number = number(&*store, MINUTE).await;
    let holding = store.inspect("k").await;
    let Ok(Some(Holding { owner, time_left: Some(left), fencing_token })) = holding else {
        panic!("{holding:?}")
    };
    assert_eq!((&*owner, fencing_token), ("me", Some(number)));
    assert!((30_000..=61_000).contains(&left), "{left}");
    assert_released(&*store, "k", "me", Released::Released).await;
    assert_eq!(store.inspect("k").await, Ok(None));
}

pub(super) async fn wait(store: Arc<dyn Store>) {
    let locks = Locks::builder().store("s", store).build().expect("locks");
    let resource = Resource { store: "s", id: "r" };
    let first = locks.acquire(resource, &LeaseOptions::new(MINUTE)).await;
    let first = first.expect("an answer").expect("a free lock");
    let waiting = {
        let locks = locks.clone();
        tokio::spawn(
            async move { locks.acquire(resource, &LeaseOptions::new(MINUTE).wait(LONG)).await },
        )
    };
    let try_once = locks.acquire(resource, &LeaseOptions::new(MINUTE)).await;
    assert_eq!(try_once.expect("an answer"), None);
    assert!(!waiting.is_finished());
    let released = locks.unlock(resource, &first.owner).await;
    assert_eq!(released.expect("an answer"), UnlockStatus::Success);
    let second = waiting.await.expect("no panic").expect("an answer").expect("the lock");
    assert_ne!(second.owner, first.owner);
}

//! Leases that are renewed in the background, and how they are lost.

use std::{sync::Arc, time::Duration};

use futures_util::FutureExt;
use holdfast::{
    LeaseOptions, Limits, Locks, Lost, Resource, UnlockStatus,
    store::{Store, memory::MemoryStore},
};
use holdfast_tests::{
    calls::take,
    eventually,
    fake_store::{Answer, FakeStore},
};
use tokio::time::Instant;

const SECOND: Duration = Duration::from_secs(1);
const R: Resource<'static> = Resource { store: "s", id: "r" };

fn over(store: Arc<dyn Store>) -> Locks {
    Locks::builder().store("s", store).build().unwrap()
}

fn in_memory() -> Locks {
    over(Arc::new(MemoryStore::new()))
}

/// Three seconds.
fn options() -> LeaseOptions {
    LeaseOptions::new(3 * SECOND)
}

#[tokio::test(start_paused = true)]
async fn it_is_renewed_until_it_is_released() {
    let locks = in_memory();
    let lease = locks.keep(R, &options().fenced(), None).await.unwrap().unwrap();
    assert!(lease.fencing_token().is_some());
    for _ in 0..100 {
        tokio::time::sleep(SECOND).await;
        assert!(lease.valid_for() >= SECOND && lease.lost().now_or_never().is_none());
        assert_eq!(take(&locks, "s", "r", "other", 1).await, Ok(false));
    }
    let holding = locks.inspect(R).await.unwrap().unwrap();
    assert_eq!(holding.owner, lease.owner());
    assert_eq!(lease.release().await, Ok(UnlockStatus::Success));
    assert_eq!(locks.inspect(R).await, Ok(None));
}

#[tokio::test(start_paused = true)]
async fn it_is_released_when_it_is_dropped() {
    let locks = in_memory();
    let lease = locks.keep(R, &options(), None).await.unwrap().unwrap();
    assert!(locks.keep(R, &options(), None).await.unwrap().is_none());
    drop(lease);
    let begun = Instant::now();
    let next = locks.keep(R, &options().wait(SECOND), None).await.unwrap();
    assert!(next.is_some() && begun.elapsed() < SECOND);
    // So is a lease whose release nobody waits for.
    assert!(next.unwrap().release().now_or_never().is_some());
    eventually("the lock is free", async || locks.inspect(R).await == Ok(None)).await;
}

#[tokio::test(start_paused = true)]
async fn it_is_lost_when_somebody_removes_the_lock() {
    let locks = in_memory();
    let lease = locks.keep(R, &options().owner("me"), None).await.unwrap().unwrap();
    locks.unlock(R, "me").await.unwrap();
    let begun = Instant::now();
    assert_eq!(lease.lost().await, Lost::Gone);
    assert!(begun.elapsed() <= SECOND, "{:?}", begun.elapsed());
    assert_eq!((lease.valid_for(), lease.lost().await), (Duration::ZERO, Lost::Gone));

    let lease = locks.keep(R, &options().owner("me"), None).await.unwrap().unwrap();
    locks.unlock(R, "me").await.unwrap();
    assert_eq!(take(&locks, "s", "r", "other", 60).await, Ok(true));
    assert_eq!(lease.lost().await, Lost::HeldByOther);
    // A lost lease is not renewed, and no other owner's lock is released.
    drop(lease);
    tokio::time::sleep(10 * SECOND).await;
    assert_eq!(locks.inspect(R).await.unwrap().unwrap().owner, "other");
}

#[tokio::test(start_paused = true)]
async fn it_is_lost_in_time_when_it_cannot_be_renewed() {
    // A store that takes locks and cannot extend them.
    let locks = over(FakeStore::always(Answer::Yes));
    let lease = locks.keep(R, &options(), None).await.unwrap().unwrap();
    let begun = Instant::now();
    let reason = "failed to extend lease: this store cannot extend a lock";
    assert_eq!(lease.lost().await, Lost::NotRenewed(reason.to_owned()));
    assert_eq!(begun.elapsed(), 3 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn it_is_held_for_the_longest_time_at_most() {
    let locks = in_memory();
    let lease = locks.keep(R, &options(), Some(10 * SECOND)).await.unwrap().unwrap();
    let begun = Instant::now();
    assert_eq!(lease.lost().await, Lost::MaxHold);
    assert_eq!(begun.elapsed(), 10 * SECOND);
    // The remaining time is for the holder to stop.
    let left = lease.valid_for();
    assert!((SECOND..=3 * SECOND).contains(&left), "{left:?}");
    tokio::time::sleep(left + SECOND).await;
    assert_eq!(locks.inspect(R).await, Ok(None));
}

#[tokio::test(start_paused = true)]
async fn a_loss_is_reported_again_on_a_later_call() {
    let locks = in_memory();
    let mut lease = locks.keep(R, &options(), None).await.unwrap().unwrap();
    locks.force_release(R).await.unwrap();
    while lease.renewed().await.is_ok() {}
    assert_eq!(lease.renewed().await, Err(Lost::Gone));
    assert_eq!(lease.lost().await, Lost::Gone);
}

#[tokio::test]
async fn leases_that_are_dropped_all_at_once_are_released_whatever_the_limits() {
    let mut limits = Limits::default();
    (limits.in_flight, limits.waiting) = (1, 0);
    let store = Arc::new(MemoryStore::new());
    let locks = Locks::builder().store("s", store).limits(limits).build().unwrap();
    let mut leases = Vec::new();
    for number in 0..20 {
        let id = number.to_string();
        let resource = Resource { store: "s", id: &id };
        leases.push(
            locks.keep(resource, &LeaseOptions::new(60 * SECOND), None).await.unwrap().unwrap(),
        );
    }
    drop(leases);
    locks.close().await;
    assert_eq!(locks.list("s", "", None, 100).await.unwrap().locks, []);
}

//! Leases: the answers, and the order in which waiters are served.

use std::{sync::Arc, time::Duration};

use futures_util::{
    FutureExt,
    future::{BoxFuture, join_all},
};
use holdfast::{
    Error, Extended, Holding, LeaseOptions, Limits, LockError, Locks, Resource, UnlockStatus,
    store::{Acquired, Failure, Released, Store, memory::MemoryStore},
    types::Lease,
};
use holdfast_tests::{
    GRANTED, MINUTE,
    calls::{free, take},
    fake_store::{Answer, Call, Event, FakeStore, unknown},
};
use tokio::time::Instant;

const SECOND: Duration = Duration::from_secs(1);
const R: Resource<'static> = Resource { store: "s", id: "r" };

fn in_memory() -> Locks {
    Locks::builder().store("s", Arc::new(MemoryStore::new())).build().unwrap()
}

async fn lease(locks: &Locks, options: LeaseOptions) -> Lease {
    locks.acquire(R, &options).await.unwrap().expect("a free lock")
}

/// The message of a call that the rules, or the store, refuse.
fn message<T: std::fmt::Debug>(outcome: Result<T, Error>) -> String {
    match outcome {
        Err(Error::Lock(error)) => error.message().to_owned(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_lease_is_a_lock_that_says_its_owner_and_how_long_it_is_valid() {
    let locks = in_memory();
    let first = lease(&locks, LeaseOptions::new(MINUTE)).await;
    assert_eq!((first.valid_for(), first.fencing_token), (MINUTE, None));
    assert_eq!(take(&locks, "s", "r", "you", 1).await, Ok(false));
    assert_eq!(locks.acquire(R, &LeaseOptions::new(MINUTE)).await, Ok(None));
    assert_eq!(free(&locks, "s", "r", &first.owner).await, Ok(UnlockStatus::Success));

    let second = lease(&locks, LeaseOptions::new(MINUTE)).await;
    assert_ne!(second.owner, first.owner);
    assert_eq!(first.owner.len(), 36, "{}", first.owner);
    assert_eq!(free(&locks, "s", "r", &first.owner).await, Ok(UnlockStatus::LockBelongsToOthers));
    assert_eq!(free(&locks, "s", "r", &second.owner).await, Ok(UnlockStatus::Success));

    assert_eq!(take(&locks, "s", "r", "you", 60).await, Ok(true));
    assert_eq!(locks.acquire(R, &LeaseOptions::new(MINUTE).owner("you")).await, Ok(None));
}

#[tokio::test(start_paused = true)]
async fn numbers_grow_across_release_and_expiry_and_processes() {
    let mut last = 0;
    for locks in [in_memory(), in_memory()] {
        for _ in 0..3 {
            let held = lease(&locks, LeaseOptions::new(SECOND).fenced()).await;
            assert!(held.fencing_token > Some(last), "{held:?} after {last}");
            last = held.fencing_token.unwrap();
            free(&locks, "s", "r", &held.owner).await.unwrap();

            let held = lease(&locks, LeaseOptions::new(SECOND).fenced()).await;
            assert!(held.fencing_token > Some(last), "{held:?} after {last}");
            last = held.fencing_token.unwrap();
            tokio::time::advance(SECOND).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn only_the_owner_extends_and_only_to_a_later_end_unless_asked() {
    let locks = in_memory();
    let extend = async |owner: &str, ttl, may_shorten| {
        locks.extend(R, owner, ttl, may_shorten).await.unwrap()
    };
    assert_eq!(extend("me", MINUTE, false).await, Extended::Gone);
    lease(&locks, LeaseOptions::new(MINUTE).owner("me")).await;
    assert_eq!(extend("you", MINUTE, false).await, Extended::HeldByOther);

    tokio::time::advance(30 * SECOND).await;
    assert_eq!(extend("me", MINUTE, false).await, Extended::Extended(60_000));
    assert_eq!(extend("me", SECOND, false).await, Extended::Extended(60_000));
    assert_eq!(extend("me", SECOND, true).await, Extended::Extended(1_000));
    tokio::time::advance(SECOND).await;
    assert_eq!(extend("me", MINUTE, false).await, Extended::Gone);
}

#[tokio::test(start_paused = true)]
async fn inspect_returns_the_owner_the_time_and_the_token() {
    let locks = in_memory();
    assert_eq!(locks.inspect(R).await, Ok(None));
    let held = lease(&locks, LeaseOptions::new(MINUTE).owner("me").fenced()).await;
    tokio::time::advance(SECOND).await;
    let holding = Holding {
        owner: "me".to_owned(),
        time_left: Some(59_000),
        fencing_token: held.fencing_token,
    };
    assert_eq!(locks.inspect(R).await, Ok(Some(holding)));
    tokio::time::advance(59 * SECOND).await;
    assert_eq!(locks.inspect(R).await, Ok(None));
}

#[tokio::test(start_paused = true)]
async fn waiters_are_served_in_order_and_at_once() {
    let locks = in_memory();
    let held = lease(&locks, LeaseOptions::new(MINUTE)).await;
    let begun = Instant::now();
    let waiter = async |number: usize| {
        let held = lease(&locks, LeaseOptions::new(MINUTE).wait(MINUTE)).await;
        assert_eq!(held.valid_for(), MINUTE);
        free(&locks, "s", "r", &held.owner).await.unwrap();
        (number, Instant::now())
    };
    let mut order = Vec::new();
    let mut waiters: Vec<_> = (0..20).map(|number| Box::pin(waiter(number))).collect();
    for waiter in &mut waiters {
        assert!(waiter.now_or_never().is_none());
    }
    free(&locks, "s", "r", &held.owner).await.unwrap();
    let mut waiters: futures_util::stream::FuturesUnordered<_> = waiters.into_iter().collect();
    while let Some((number, at)) = futures_util::StreamExt::next(&mut waiters).await {
        order.push(number);
        assert_eq!(at, begun, "a lock that this process frees is handed over without a pause");
    }
    assert_eq!(order, (0..20).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn a_lock_that_expires_or_that_others_free_is_taken_soon() {
    let store = Arc::new(MemoryStore::new());
    let [one, other] =
        [(); 2].map(|()| Locks::builder().store("s", store.clone()).build().unwrap());
    let held = lease(&one, LeaseOptions::new(10 * SECOND)).await;
    let begun = Instant::now();
    let taken = lease(&other, LeaseOptions::new(MINUTE).wait(MINUTE)).await;
    assert!((10 * SECOND..11 * SECOND).contains(&begun.elapsed()), "{:?}", begun.elapsed());

    let begun = Instant::now();
    let (_, ()) = tokio::join!(lease(&one, LeaseOptions::new(MINUTE).wait(MINUTE)), async {
        tokio::time::sleep(SECOND).await;
        free(&other, "s", "r", &held.owner).await.unwrap();
        free(&other, "s", "r", &taken.owner).await.unwrap();
    });
    assert!((SECOND..2 * SECOND).contains(&begun.elapsed()), "{:?}", begun.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_wait_ends_in_time() {
    let locks = in_memory();
    let held = lease(&locks, LeaseOptions::new(MINUTE)).await;
    let begun = Instant::now();
    let wait = LeaseOptions::new(MINUTE).wait(SECOND);
    let outcomes = join_all((0..3).map(|_| locks.acquire(R, &wait))).await;
    assert_eq!(outcomes, [Ok(None), Ok(None), Ok(None)]);
    assert_eq!(begun.elapsed(), SECOND);

    // Callers who have left are not served.
    let mut gone = Box::pin(locks.acquire(R, &wait));
    assert!((&mut gone).now_or_never().is_none());
    drop(gone);
    free(&locks, "s", "r", &held.owner).await.unwrap();
    assert_eq!(locks.inspect(R).await, Ok(None));
}

#[tokio::test]
async fn waiters_do_not_delay_the_turn_of_others() {
    let mut limits = Limits::default();
    (limits.in_flight, limits.waiting) = (1, 1);
    let store = Arc::new(MemoryStore::new());
    let locks = Locks::builder().store("s", store).limits(limits).build().unwrap();
    let held = lease(&locks, LeaseOptions::new(MINUTE)).await;
    let wait = LeaseOptions::new(MINUTE).wait(MINUTE);
    let waiting = join_all((0..3).map(async |_| {
        let held = lease(&locks, wait.clone()).await;
        free(&locks, "s", "r", &held.owner).await.unwrap();
    }));
    tokio::join!(waiting, async {
        free(&locks, "s", "r", &held.owner).await.unwrap();
    });
}

#[tokio::test(start_paused = true)]
async fn a_try_that_is_at_the_store_is_not_cut_off_when_the_wait_is_over() {
    let store = FakeStore::scripted([Answer::No, Answer::Yes.after(5 * SECOND)]);
    let locks = Locks::builder().store("s", store.clone()).build().unwrap();
    let held = lease(&locks, LeaseOptions::new(MINUTE).wait(SECOND)).await;
    assert_eq!(held.valid_for(), 55 * SECOND);
    let calls = store.calls();
    assert!(matches!(calls[..], [Call::Acquire { .. }, Call::Acquire { .. }]), "{calls:?}");
}

#[tokio::test(start_paused = true)]
async fn everybody_who_waits_tries_at_least_once_and_when_the_time_is_over() {
    let locks = in_memory();
    let held = lease(&locks, LeaseOptions::new(10 * SECOND)).await;
    // Free just before the end of the wait.
    tokio::time::advance(10 * SECOND - Duration::from_millis(990)).await;
    lease(&locks, LeaseOptions::new(MINUTE).owner("me").wait(SECOND)).await;
    assert_ne!(held.owner, "me");

    // One caller waits in line, and the lock is free.
    let store = FakeStore::scripted([Answer::Never, Answer::Yes]);
    let locks = Locks::builder().store("s", store).build().unwrap();
    let long = LeaseOptions::new(MINUTE).wait(MINUTE);
    let mut first = Box::pin(locks.acquire(R, &long));
    assert!((&mut first).now_or_never().is_none());
    lease(&locks, LeaseOptions::new(MINUTE).wait(Duration::from_millis(1))).await;
}

#[tokio::test(start_paused = true)]
async fn a_momentary_overload_does_not_end_a_wait() {
    let mut limits = Limits::default();
    (limits.in_flight, limits.waiting) = (1, 0);
    let store = FakeStore::scripted([Answer::No, Answer::Yes.when_allowed()]);
    let locks = Locks::builder().store("s", store.clone()).limits(limits).build().unwrap();
    let waiting = tokio::spawn({
        let locks = locks.clone();
        async move { lease(&locks, LeaseOptions::new(MINUTE).wait(MINUTE)).await }
    });
    assert_eq!((store.event().await, store.event().await), (Event::Called, Event::Answered));
    // Another call has the only turn, while the waiter polls.
    let other = tokio::spawn(async move { free(&locks, "s", "r", "other").await });
    assert_eq!(store.event().await, Event::Called);
    tokio::time::sleep(Duration::from_millis(300)).await;
    store.let_through(1);
    assert!(other.await.unwrap().is_ok());
    waiting.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn lock_waits_are_bounded_and_can_be_ended() {
    let store = Arc::new(MemoryStore::new());
    let limits = Limits::default().lock_waits(2);
    let locks = Locks::builder().store("s", store).limits(limits).build().unwrap();
    lease(&locks, LeaseOptions::new(10 * MINUTE)).await;
    let wait = LeaseOptions::new(MINUTE).wait(5 * MINUTE);
    let mut waiting: Vec<_> = (0..2).map(|_| Box::pin(locks.acquire(R, &wait))).collect();
    assert!(waiting.iter_mut().all(|waiting| waiting.now_or_never().is_none()));
    let refused = locks.acquire(R, &wait).await.unwrap_err();
    assert_eq!(refused.to_string(), "too many calls: 2 wait for locks");
    // Another lock may be free. One that is held has no place left for a waiter.
    let other = Resource { store: "s", id: "other" };
    assert!(locks.acquire(other, &wait).await.unwrap().is_some());
    assert_eq!(locks.acquire(other, &wait).await, Err(refused));

    let begun = Instant::now();
    locks.end_waits();
    let ended = Err(Error::WaitsEnded);
    assert_eq!(join_all(waiting).await, [ended.clone(), ended.clone()]);
    assert_eq!(locks.acquire(R, &wait).await, ended);
    // A call that does not wait is answered as before.
    assert_eq!(locks.acquire(R, &LeaseOptions::new(MINUTE)).await, Ok(None));
    assert_eq!(begun.elapsed(), Duration::ZERO);
}

#[tokio::test]
async fn an_unknown_outcome_names_the_owner() {
    let store = FakeStore::always(Answer::Failure(unknown("reply lost")));
    let locks = Locks::builder().store("s", store.clone()).build().unwrap();
    let said = message(locks.acquire(R, &LeaseOptions::new(MINUTE)).await);
    let [Call::Acquire { owner, .. }] = &store.calls()[..] else { panic!("one call") };
    assert_eq!(
        said,
        format!(
            "failed to acquire lease: reply lost (the owner is {owner}); the outcome is unknown: the \
             lock may be held"
        )
    );
}

#[tokio::test]
async fn a_store_that_numbers_every_grant_numbers_leases_too() {
    let store = Arc::new(MemoryStore::new());
    let locks = Locks::builder().store("s", store).fencing("s").build().unwrap();
    let held = lease(&locks, LeaseOptions::new(MINUTE)).await;
    assert!(held.fencing_token.is_some());
}

#[tokio::test]
async fn what_cannot_be_is_refused() {
    let locks = in_memory();
    let acquire =
        async |resource, options: LeaseOptions| message(locks.acquire(resource, &options).await);
    let minute = || LeaseOptions::new(MINUTE);
    let unknown = Resource { store: "x", id: "r" };
    let empty = Resource { store: "s", id: "" };
    let reserved = Resource { store: "s", id: "a||b" };
    for (said, expected) in [
        (
            acquire(R, LeaseOptions::new(Duration::ZERO)).await,
            "ttl is not positive in lock store s",
        ),
        (acquire(unknown, minute()).await, "lock store x not found"),
        (acquire(empty, minute()).await, "ResourceId is empty in lock store s"),
        (acquire(R, minute().owner("")).await, "LockOwner is empty in lock store s"),
        (
            acquire(reserved, minute()).await,
            "failed to acquire lease: input key/keyPrefix 'a||b' can't contain '||'",
        ),
        (
            acquire(R, LeaseOptions::new(Duration::MAX)).await,
            "ttl is above 2147483647 s in lock store s",
        ),
        (
            acquire(R, minute().wait(Duration::MAX)).await,
            "wait is above 2147483647 s in lock store s",
        ),
        (message(locks.extend(R, "", MINUTE, false).await), "LockOwner is empty in lock store s"),
        (
            message(locks.extend(R, "me", Duration::ZERO, false).await),
            "ttl is not positive in lock store s",
        ),
        (message(locks.inspect(unknown).await), "lock store x not found"),
    ] {
        assert_eq!(said, expected);
    }
    assert_eq!(locks.inspect(R).await, Ok(None));
}

/// A store with no more functions than a store must have.
struct OnlyLocks;

impl Store for OnlyLocks {
    fn acquire<'a>(
        &'a self,
        _: &'a str,
        _: &'a str,
        _: Duration,
    ) -> BoxFuture<'a, Result<Acquired, Failure>> {
        Box::pin(async { Ok(GRANTED) })
    }

    fn release<'a>(&'a self, _: &'a str, _: &'a str) -> BoxFuture<'a, Result<Released, Failure>> {
        Box::pin(async { Ok(Released::Released) })
    }
}

#[tokio::test]
async fn a_store_that_keeps_only_locks_says_so() {
    let locks = Locks::builder().store("s", Arc::new(OnlyLocks)).build().unwrap();
    lease(&locks, LeaseOptions::new(MINUTE)).await;
    let fenced = LeaseOptions::new(MINUTE).fenced();
    assert_eq!(
        message(locks.acquire(R, &fenced).await),
        "failed to acquire lease: this store cannot number its grants"
    );
    assert_eq!(
        message(locks.extend(R, "me", MINUTE, false).await),
        "failed to extend lease: this store cannot extend a lock"
    );
    let inspected = locks.inspect(R).await.unwrap_err();
    assert!(matches!(inspected, Error::Lock(LockError::StoreFailed(_))), "{inspected:?}");
}

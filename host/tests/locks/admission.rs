//! How many calls run and wait at once.

use futures_util::FutureExt;
use holdfast::{Error, Limits, Locks, UnlockStatus};
use holdfast_tests::{
    calls::{free, take},
    fake_store::{Answer, Call, FakeStore},
};

#[tokio::test]
async fn calls_beyond_the_limits_are_refused_and_the_others_served_in_turn() {
    let store = FakeStore::answering(|call| match call {
        Call::Acquire { .. } => Answer::No.when_allowed(),
        Call::Release { .. } | Call::Inspect { .. } => Answer::No,
    });
    let mut limits = Limits::default();
    (limits.in_flight, limits.waiting) = (1, 1);
    let locks = Locks::builder().store("s", store.clone()).limits(limits).build().unwrap();

    let mut first = Box::pin(take(&locks, "s", "r", "o", 1));
    assert!((&mut first).now_or_never().is_none());
    let mut second = Box::pin(free(&locks, "s", "r", "o"));
    assert!((&mut second).now_or_never().is_none());
    let third = free(&locks, "s", "r", "o").await.unwrap_err();
    assert_eq!(third, Error::Overloaded { in_flight: 1, waiting: 1 });
    assert_eq!(third.to_string(), "too many calls: 1 in flight and 1 waiting");

    // A waiting call whose caller leaves makes room for another.
    drop(second);
    let second = free(&locks, "s", "r", "o");
    let (first, second, ()) = tokio::join!(first, second, async { store.let_through(1) });
    assert_eq!(first, Ok(false));
    assert_eq!(second, Ok(UnlockStatus::LockDoesNotExist));
}

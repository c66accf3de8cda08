//! A store under policies: calls that are retried, calls that never are, and the answers to callers.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use futures_util::FutureExt;
use holdfast::{
    Error, LeaseOptions, Locks, Resource,
    policy::{Backoff, CircuitBreaker, Policy, ResilientStore, Retry, Trip},
    store::{Acquired, Failure, Released, Store},
};
use holdfast_tests::{
    GRANTED, MINUTE,
    fake_store::{Answer, Call, FakeStore, HOLDER, not_done, unknown},
};
use tokio::time::{Instant, sleep, timeout};

const SECOND: Duration = Duration::from_secs(1);

/// A failure that did nothing, and one of unknown outcome.
fn refused() -> Answer {
    Answer::Failure(not_done("refused"))
}

fn lost() -> Answer {
    Answer::Failure(unknown("lost"))
}

fn policy(change: impl FnOnce(&mut Policy)) -> Policy {
    let mut policy = Policy::default();
    change(&mut policy);
    policy
}

fn every_second(max_retries: impl Into<Option<u32>>) -> Option<Retry> {
    Some(Retry { backoff: Backoff::Constant(SECOND), max_retries: max_retries.into() })
}

fn trips(when: &str) -> Option<CircuitBreaker> {
    let mut breaker = CircuitBreaker::new("cb");
    breaker.trip = Some(Trip::parse(when).unwrap());
    breaker.timeout = MINUTE;
    Some(breaker)
}

fn under(policy: Policy, store: &Arc<FakeStore>) -> ResilientStore {
    ResilientStore::new("lockstore", Arc::clone(store) as _, policy)
}

async fn acquire(store: &ResilientStore) -> Result<Acquired, Failure> {
    store.acquire("k", "o", MINUTE).await
}

/// Every script of five answers, under all three policies.
#[tokio::test(start_paused = true)]
async fn an_acquire_of_unknown_outcome_is_never_repeated() {
    let mut scripts = vec![Vec::new()];
    for _ in 0..5 {
        let longer = scripts.iter().flat_map(|script: &Vec<Answer>| {
            [Answer::Yes, Answer::No, refused(), lost(), Answer::Never]
                .map(|answer| script.iter().cloned().chain([answer]).collect())
        });
        scripts = longer.collect();
    }
    for script in scripts {
        let fake = FakeStore::scripted(script.clone());
        let store = under(
            policy(|policy| {
                policy.timeout = Some(SECOND);
                policy.retry = every_second(None);
                policy.circuit_breaker = trips("consecutiveFailures >= 4");
            }),
            &fake,
        );
        let outcome = acquire(&store).await;

        let refusals = script.iter().take_while(|answer| **answer == refused()).count();
        assert_eq!(fake.calls().len(), refusals.min(3) + 1, "{script:?}: {outcome:?}");
        let expected = match script.get(refusals) {
            _ if refusals >= 4 => Err(not_done("circuit breaker is open")),
            Some(Answer::Yes) | None => Ok(GRANTED),
            Some(Answer::No) => Ok(Acquired::Held),
            Some(Answer::Failure(failure)) => Err(failure.clone()),
            Some(_) => {
                assert!(matches!(outcome, Err(Failure::Unknown(_))), "{script:?}: {outcome:?}");
                continue;
            }
        };
        assert_eq!(outcome, expected, "{script:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn retries_wait_between_attempts_and_end() {
    for (max_retries, failures, calls, good) in [
        (Some(3), 3, 4, true),
        (Some(3), 4, 4, false),
        (Some(0), 1, 1, false),
        (None, 1000, 1001, true),
    ] {
        let fake = FakeStore::scripted(vec![refused(); failures]);
        let store = under(policy(|policy| policy.retry = every_second(max_retries)), &fake);
        let begun = Instant::now();
        let outcome = acquire(&store).await;
        let expected = if good { Ok(GRANTED) } else { Err(not_done("refused")) };
        assert_eq!((outcome, fake.calls().len()), (expected, calls), "{max_retries:?}");
        let waited = u32::try_from(calls - 1).unwrap() * SECOND;
        assert!((waited..waited + SECOND).contains(&begun.elapsed()), "{:?}", begun.elapsed());
    }
}

#[tokio::test(start_paused = true)]
async fn a_release_is_retried_after_any_failure() {
    let fake = FakeStore::scripted([lost(), Answer::Never, refused(), Answer::No]);
    let store = under(
        policy(|policy| {
            policy.timeout = Some(SECOND);
            policy.retry = every_second(5);
        }),
        &fake,
    );
    assert_eq!(store.release("k", "o").await, Ok(Released::Missing));
    assert_eq!(fake.calls().len(), 4);
}

#[tokio::test(start_paused = true)]
async fn a_timed_out_acquire_is_unknown_until_its_lock_has_expired() {
    for (ttl, longest) in [(10 * SECOND, 20 * SECOND), (100 * SECOND, 130 * SECOND)] {
        let fake = FakeStore::always(Answer::Never);
        let store =
            under(policy(|policy| policy.timeout = Some(Duration::from_millis(200))), &fake);
        let before = SystemTime::now();
        let outcome = store.acquire("k", "o", ttl).await;
        let after = SystemTime::now();
        let Err(Failure::Unknown(outcome)) = outcome else {
            panic!("{outcome:?}");
        };
        let (cause, until) = (&outcome.cause, outcome.held_until().unwrap());
        assert_eq!(*cause, "no outcome within the resiliency timeout of 200ms");
        assert!(
            (before + longest..=after + longest + Duration::from_millis(1)).contains(&until),
            "{until:?}"
        );
    }
    let fake = FakeStore::always(Answer::Never);
    let store = under(policy(|policy| policy.timeout = Some(SECOND)), &fake);
    let cause = "no outcome within the resiliency timeout of 1s";
    assert_eq!(store.release("k", "o").await, Err(unknown(cause)));
}

#[tokio::test(start_paused = true)]
async fn an_outcome_within_the_timeout_is_returned() {
    let fake = FakeStore::always(Answer::No.after(SECOND));
    let store = under(policy(|policy| policy.timeout = Some(2 * SECOND)), &fake);
    assert_eq!(acquire(&store).await, Ok(Acquired::Held));
    assert_eq!(store.release("k", "o").await, Ok(Released::Missing));
}

#[tokio::test(start_paused = true)]
async fn an_open_breaker_refuses_calls_until_its_timeout() {
    let fake = FakeStore::scripted([refused(), Answer::No, lost(), refused(), refused()]);
    let store =
        under(policy(|policy| policy.circuit_breaker = trips("consecutiveFailures >= 3")), &fake);
    // A lock that is held is a success.
    for expected in [
        Err(not_done("refused")),
        Ok(Acquired::Held),
        Err(unknown("lost")),
        Err(not_done("refused")),
        Err(not_done("refused")),
        Err(not_done("circuit breaker is open")),
    ] {
        assert_eq!(acquire(&store).await, expected);
    }
    let open = Err(not_done("circuit breaker is open"));
    assert_eq!(store.release("k", "o").await, open);
    assert_eq!(fake.calls().len(), 5);
    tokio::time::advance(MINUTE + SECOND).await;
    assert_eq!(acquire(&store).await, Ok(GRANTED));
    assert_eq!(acquire(&store).await, Ok(GRANTED));
}

#[tokio::test(start_paused = true)]
async fn calls_refused_by_the_breaker_are_not_retried() {
    let fake = FakeStore::scripted([refused()]);
    let store = under(
        policy(|policy| {
            policy.retry = every_second(None);
            policy.circuit_breaker = trips("consecutiveFailures >= 1");
        }),
        &fake,
    );
    assert_eq!(acquire(&store).await, Err(not_done("circuit breaker is open")));
    assert_eq!(acquire(&store).await, Err(not_done("circuit breaker is open")));
    assert_eq!(fake.calls().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_call_refused_by_the_breaker_does_not_reach_the_store() {
    let fake = FakeStore::always(refused());
    let store = under(policy(|policy| policy.circuit_breaker = trips("true")), &fake);
    assert!(store.acquire("first", "o", MINUTE).await.is_err());
    assert!(store.acquire("second", "o", MINUTE).await.is_err());
    // The fake takes note of a call before its future is polled.
    let first = Call::Acquire { key: "first".to_owned(), owner: "o".to_owned(), ttl: MINUTE };
    assert_eq!(fake.calls(), [first]);
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_leaves_frees_its_place_in_a_half_open_breaker() {
    let fake = FakeStore::scripted([refused(), Answer::Never, Answer::Never]);
    let store = under(policy(|policy| policy.circuit_breaker = trips("true")), &fake);
    assert_eq!(acquire(&store).await, Err(not_done("refused")));
    tokio::time::advance(MINUTE + SECOND).await;
    let mut probe = Box::pin(acquire(&store));
    assert_eq!((&mut probe).now_or_never(), None);
    assert_eq!(acquire(&store).await, Err(not_done("too many requests")));
    drop(probe);
    assert_eq!(acquire(&store).now_or_never(), None);
    assert_eq!(acquire(&store).await, Ok(GRANTED));
    assert_eq!(fake.calls().len(), 4);
}

#[tokio::test(start_paused = true)]
async fn closing_ends_the_wait_for_the_next_attempt() {
    let fake = FakeStore::always(refused());
    let store = under(policy(|policy| policy.retry = every_second(None)), &fake);
    let (outcome, ()) = tokio::join!(acquire(&store), async {
        tokio::time::sleep(10 * SECOND).await;
        store.close().await;
    });
    assert_eq!(outcome, Err(not_done("refused")));
    assert!(fake.is_closed());
    let calls = fake.calls().len();
    assert!(calls <= 11, "{calls}");
}

const R: Resource<'static> = Resource { store: "s", id: "r" };

/// Locks over a store that is tried every second, without end.
fn endless(store: &Arc<FakeStore>) -> Locks {
    let store = under(policy(|policy| policy.retry = every_second(None)), store);
    Locks::builder().store("s", Arc::new(store)).build().unwrap()
}

/// The call ends, with the failure of the store.
async fn fails<T: std::fmt::Debug>(call: impl Future<Output = Result<T, Error>>) {
    let ended = timeout(60 * MINUTE, call).await.expect("an end");
    let error = ended.unwrap_err().to_string();
    assert!(error.ends_with("refused"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn retries_without_end_end_with_the_wait_for_a_lock() {
    let fake = FakeStore::always(refused());
    let locks = endless(&fake);
    let options = LeaseOptions::new(MINUTE).wait(10 * SECOND);
    let begun = Instant::now();
    // The second call waits in line behind the first.
    tokio::join!(fails(locks.acquire(R, &options)), fails(locks.acquire(R, &options)));
    assert_eq!(begun.elapsed().as_secs(), 10);
    // The second call tries once, when its wait is over.
    assert_eq!(fake.calls().len(), 11 + 1);
}

#[tokio::test(start_paused = true)]
async fn retries_without_end_end_with_the_wait_for_a_loss() {
    let fake = FakeStore::always(refused());
    let locks = endless(&fake);
    let begun = Instant::now();
    fails(locks.await_loss(R, HOLDER, 10 * SECOND)).await;
    assert_eq!((begun.elapsed().as_secs(), fake.calls().len()), (10, 11));
    // Without a failure the call says that the owner still holds the lock.
    let locks = endless(&FakeStore::always(Answer::Yes));
    assert_eq!(locks.await_loss(R, HOLDER, 10 * SECOND).await.unwrap(), None);
}

#[tokio::test(start_paused = true)]
async fn retries_without_end_end_with_all_waits() {
    let locks = endless(&FakeStore::always(refused()));
    let options = LeaseOptions::new(MINUTE).wait(10 * MINUTE);
    let begun = Instant::now();
    let end = async {
        sleep(5 * SECOND / 2).await;
        locks.end_waits();
    };
    tokio::join!(fails(locks.acquire(R, &options)), end);
    assert!(begun.elapsed() < 3 * SECOND, "{:?}", begun.elapsed());
}

/// Grants every lock and releases none.
fn that_releases_nothing() -> Arc<FakeStore> {
    FakeStore::answering(|call| match call {
        Call::Acquire { .. } => Answer::Yes,
        Call::Release { .. } | Call::Inspect { .. } => refused(),
    })
}

#[tokio::test(start_paused = true)]
async fn unlimited_retries_of_a_release_end_when_the_lock_expires() {
    let fake = that_releases_nothing();
    let locks = endless(&fake);
    let ttl = 10 * SECOND;
    let options = LeaseOptions::new(ttl);
    let lease = locks.keep(R, &options, None).await.unwrap().unwrap();
    let begun = Instant::now();
    fails(lease.release()).await;
    assert!((9..=10).contains(&begun.elapsed().as_secs()), "{:?}", begun.elapsed());

    drop(locks.keep(R, &options, None).await.unwrap().unwrap());
    sleep(ttl + SECOND).await;
    let calls = fake.calls().len();
    sleep(10 * ttl).await;
    assert_eq!(fake.calls().len(), calls);
}

//! A store under policies: what is tried again, what never is, and what callers hear.

#![allow(clippy::unwrap_used, reason = "helpers of tests may panic as tests do")]

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, SystemTime},
};

use futures_util::{FutureExt, future::BoxFuture};
use holdfast::{
    policy::{Backoff, CircuitBreaker, Policy, ResilientStore, Retry, Trip},
    store::{Acquired, Failure, Grant, Released, Store, memory::MemoryStore},
};
use tokio::time::Instant;

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const GRANTED: Acquired = Acquired::Granted(Grant { fencing_token: None });

/// What a call of the script does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Act {
    Good,
    Held,
    NotDone,
    Unknown,
    Hang,
}

const ACTS: [Act; 5] = [Act::Good, Act::Held, Act::NotDone, Act::Unknown, Act::Hang];

/// A store that does as its script says, and then succeeds.
#[derive(Default)]
struct Script {
    acts: Mutex<VecDeque<Act>>,
    calls: AtomicU64,
    closed: AtomicBool,
}

impl Script {
    fn of(acts: impl IntoIterator<Item = Act>) -> Arc<Self> {
        Arc::new(Self { acts: Mutex::new(acts.into_iter().collect()), ..Self::default() })
    }

    fn calls(&self) -> u64 {
        self.calls.load(Ordering::SeqCst)
    }

    async fn act(&self) -> Result<bool, Failure> {
        self.calls.fetch_add(1, Ordering::SeqCst);
        let act = self.acts.lock().unwrap().pop_front().unwrap_or(Act::Good);
        match act {
            Act::Good => Ok(true),
            Act::Held => Ok(false),
            Act::NotDone => Err(not_done("refused")),
            Act::Unknown => Err(unknown("lost")),
            Act::Hang => std::future::pending().await,
        }
    }
}

fn not_done(cause: &str) -> Failure {
    Failure::not_done(cause.to_owned())
}

fn unknown(cause: &str) -> Failure {
    Failure::unknown(cause.to_owned(), None)
}

impl Store for Script {
    fn acquire<'a>(
        &'a self,
        _: &'a str,
        _: &'a str,
        _: Duration,
    ) -> BoxFuture<'a, Result<Acquired, Failure>> {
        Box::pin(async { self.act().await.map(|good| if good { GRANTED } else { Acquired::Held }) })
    }

    fn release<'a>(&'a self, _: &'a str, _: &'a str) -> BoxFuture<'a, Result<Released, Failure>> {
        Box::pin(async {
            self.act().await.map(|good| if good { Released::Released } else { Released::Missing })
        })
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        self.closed.store(true, Ordering::SeqCst);
        Box::pin(std::future::ready(()))
    }
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

fn under(policy: Policy, script: &Arc<Script>) -> ResilientStore {
    ResilientStore::new("lockstore", Arc::clone(script) as _, policy)
}

async fn acquire(store: &ResilientStore) -> Result<Acquired, Failure> {
    store.acquire("k", "o", MINUTE).await
}

/// Every script of up to five acts, through all three policies at once.
#[tokio::test(start_paused = true)]
async fn an_acquire_is_never_called_again_once_its_outcome_is_open() {
    let mut scripts = vec![Vec::new()];
    for _ in 0..5 {
        let longer = scripts.iter().flat_map(|script: &Vec<Act>| {
            ACTS.map(|act| script.iter().copied().chain([act]).collect())
        });
        scripts = longer.collect();
    }
    for acts in scripts {
        let script = Script::of(acts.clone());
        let store = under(
            policy(|policy| {
                policy.timeout = Some(SECOND);
                policy.retry = every_second(None);
                policy.circuit_breaker = trips("consecutiveFailures >= 4");
            }),
            &script,
        );
        let outcome = acquire(&store).await;

        let refused = acts.iter().take_while(|act| **act == Act::NotDone).count();
        let expected_calls = u64::try_from(refused.min(3) + 1).unwrap();
        assert_eq!(script.calls(), expected_calls, "{acts:?}: {outcome:?}");
        match acts.get(refused) {
            _ if refused >= 4 => {
                assert_eq!(outcome, Err(not_done("circuit breaker is open")), "{acts:?}");
            }
            Some(Act::Good) | None => assert_eq!(outcome, Ok(GRANTED), "{acts:?}"),
            Some(Act::Held) => assert_eq!(outcome, Ok(Acquired::Held), "{acts:?}"),
            Some(Act::Unknown) => assert_eq!(outcome, Err(unknown("lost")), "{acts:?}"),
            Some(Act::Hang) => {
                assert!(matches!(outcome, Err(Failure::Unknown(_))), "{acts:?}: {outcome:?}");
            }
            Some(Act::NotDone) => unreachable!("{acts:?}"),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn retries_wait_and_end() {
    for (max_retries, failures, calls, good) in [
        (Some(3), 3, 4, true),
        (Some(3), 4, 4, false),
        (Some(0), 1, 1, false),
        (None, 1000, 1001, true),
    ] {
        let script = Script::of(vec![Act::NotDone; failures]);
        let store = under(policy(|policy| policy.retry = every_second(max_retries)), &script);
        let begun = Instant::now();
        let outcome = acquire(&store).await;
        let expected = if good { Ok(GRANTED) } else { Err(not_done("refused")) };
        assert_eq!((outcome, script.calls()), (expected, calls), "{max_retries:?}");
        let waited = u32::try_from(calls - 1).unwrap() * SECOND;
        assert!((waited..waited + SECOND).contains(&begun.elapsed()), "{:?}", begun.elapsed());
    }
}

#[tokio::test(start_paused = true)]
async fn a_release_may_be_tried_again_whatever_failed() {
    let script = Script::of([Act::Unknown, Act::Hang, Act::NotDone, Act::Held]);
    let store = under(
        policy(|policy| {
            policy.timeout = Some(SECOND);
            policy.retry = every_second(5);
        }),
        &script,
    );
    assert_eq!(store.release("k", "o").await, Ok(Released::Missing));
    assert_eq!(script.calls(), 4);
}

#[tokio::test(start_paused = true)]
async fn a_timeout_leaves_an_acquire_open_until_it_can_hold_no_more() {
    for (ttl, longest) in [(10 * SECOND, 20 * SECOND), (100 * SECOND, 130 * SECOND)] {
        let script = Script::of([Act::Hang]);
        let store =
            under(policy(|policy| policy.timeout = Some(Duration::from_millis(200))), &script);
        let before = SystemTime::now();
        let outcome = store.acquire("k", "o", ttl).await;
        let after = SystemTime::now();
        let Err(Failure::Unknown(outcome)) = outcome else {
            panic!("{outcome:?}");
        };
        let (cause, until) = (&outcome.cause, outcome.held_until().unwrap());
        assert_eq!(*cause, "no outcome within the resiliency timeout of 200ms");
        assert!((before + longest..=after + longest).contains(&until), "{until:?}");
    }
    let script = Script::of([Act::Hang]);
    let store = under(policy(|policy| policy.timeout = Some(SECOND)), &script);
    let cause = "no outcome within the resiliency timeout of 1s";
    assert_eq!(store.release("k", "o").await, Err(unknown(cause)));
}

#[tokio::test(start_paused = true)]
async fn a_breaker_opens_and_refuses_at_once_and_closes_again() {
    use Act::{Held, NotDone, Unknown};
    let script = Script::of([NotDone, Held, Unknown, NotDone, NotDone]);
    let store =
        under(policy(|policy| policy.circuit_breaker = trips("consecutiveFailures >= 3")), &script);
    // That it is held is a success.
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
    assert_eq!(script.calls(), 5);
    tokio::time::advance(MINUTE + SECOND).await;
    assert_eq!(acquire(&store).await, Ok(GRANTED));
    assert_eq!(acquire(&store).await, Ok(GRANTED));
}

#[tokio::test(start_paused = true)]
async fn what_the_breaker_refuses_is_not_tried_again() {
    let script = Script::of([Act::NotDone]);
    let store = under(
        policy(|policy| {
            policy.retry = every_second(None);
            policy.circuit_breaker = trips("consecutiveFailures >= 1");
        }),
        &script,
    );
    assert_eq!(acquire(&store).await, Err(not_done("circuit breaker is open")));
    assert_eq!(acquire(&store).await, Err(not_done("circuit breaker is open")));
    assert_eq!(script.calls(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_refused_call_does_not_reach_a_store_that_acts_at_once() {
    let memory = Arc::new(MemoryStore::new());
    /// Acts in memory when it is called, and fails all the same.
    struct Hasty(Arc<MemoryStore>);
    impl Store for Hasty {
        fn acquire<'a>(
            &'a self,
            key: &'a str,
            owner: &'a str,
            ttl: Duration,
        ) -> BoxFuture<'a, Result<Acquired, Failure>> {
            drop(self.0.acquire(key, owner, ttl));
            Box::pin(std::future::ready(Err(not_done("refused"))))
        }
        fn release<'a>(
            &'a self,
            key: &'a str,
            owner: &'a str,
        ) -> BoxFuture<'a, Result<Released, Failure>> {
            self.0.release(key, owner)
        }
    }
    let hasty = Arc::new(Hasty(Arc::clone(&memory)));
    let policy = policy(|policy| policy.circuit_breaker = trips("true"));
    let store = ResilientStore::new("lockstore", hasty, policy);
    assert!(store.acquire("first", "o", MINUTE).await.is_err());
    assert!(store.acquire("second", "o", MINUTE).await.is_err());
    assert_eq!(memory.release("first", "o").await, Ok(Released::Released));
    assert_eq!(memory.release("second", "o").await, Ok(Released::Missing));
}

#[tokio::test(start_paused = true)]
async fn callers_that_go_away_take_no_place_in_a_half_open_breaker() {
    use Act::{Hang, NotDone};
    let script = Script::of([NotDone, Hang, Hang]);
    let store = under(policy(|policy| policy.circuit_breaker = trips("true")), &script);
    assert_eq!(acquire(&store).await, Err(not_done("refused")));
    tokio::time::advance(MINUTE + SECOND).await;
    let mut probe = Box::pin(acquire(&store));
    assert_eq!((&mut probe).now_or_never(), None);
    assert_eq!(acquire(&store).await, Err(not_done("too many requests")));
    drop(probe);
    assert_eq!(acquire(&store).now_or_never(), None);
    assert_eq!(acquire(&store).await, Ok(GRANTED));
    assert_eq!(script.calls(), 4);
}

#[tokio::test(start_paused = true)]
async fn closing_ends_the_waiting_for_another_try() {
    let script = Script::of(vec![Act::NotDone; 1000]);
    let store = under(policy(|policy| policy.retry = every_second(None)), &script);
    let (outcome, ()) = tokio::join!(acquire(&store), async {
        tokio::time::sleep(10 * SECOND).await;
        store.close().await;
    });
    assert_eq!(outcome, Err(not_done("refused")));
    assert!(script.closed.load(Ordering::SeqCst));
    assert!(script.calls() <= 11, "{}", script.calls());
}

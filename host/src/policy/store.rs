//! Puts the calls of a store under a policy. The timeout is inside the circuit breaker, which is inside the retries.
//!
//! Only this file decides which commands are sent again. An acquire is sent again only if it certainly did nothing: an
//! unknown outcome is final. An extend that cannot shorten a lock, and an inspect, are sent again in both cases. A
//! release is sent again too: at worst the caller learns that the lock does not exist, because an earlier try released
//! it. If the network delivers an earlier try of a release late, that try can end a lock that the same owner has taken
//! again since. This holds for every release with an unknown outcome. Owners that are used once are safe.

use std::{
    fmt,
    sync::Arc,
    time::{Duration, SystemTime},
};

use futures_util::future::BoxFuture;
use holdfast_timing::late::longest_hold;
use tokio_util::sync::CancellationToken;

use super::{
    breaker::{Breaker, CircuitBreaker},
    metrics::PolicyMetrics,
    one_line::write_parts,
    retry::Retry,
};
use crate::store::{
    Acquired, Extended, Failure, Holding, KeyPage, Released, Store, Survey, Watched,
    identities::Identities, retrying,
};

/// The policy for each call of a store. By default it does nothing.
///
/// ```
/// use std::{sync::Arc, time::Duration};
///
/// use holdfast::{
///     Locks,
///     policy::{Backoff, Policy, ResilientStore, Retry},
///     store::memory::MemoryStore,
/// };
///
/// let mut policy = Policy::default();
/// policy.timeout = Some(Duration::from_millis(200));
/// policy.retry = Some(Retry {
///     backoff: Backoff::Constant(Duration::from_millis(50)),
///     max_retries: Some(3),
/// });
/// let store = ResilientStore::new("lockstore", Arc::new(MemoryStore::new()), policy);
/// let locks = Locks::builder().store("lockstore", Arc::new(store)).build()?;
/// # Ok::<(), holdfast::BuildError>(())
/// ```
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Policy {
    /// How long each try may take.
    pub timeout: Option<Duration>,
    /// The retries; `None` for a single try.
    pub retry: Option<Retry>,
    /// The circuit breaker; `None` for no breaker.
    pub circuit_breaker: Option<CircuitBreaker>,
}

impl fmt::Display for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_parts(
            f,
            [
                ("timeout", self.timeout.map(|timeout| format!("{timeout:?}"))),
                ("retry", self.retry.map(|retry| retry.to_string())),
                ("circuitBreaker", self.circuit_breaker.as_ref().map(CircuitBreaker::to_string)),
            ],
        )
    }
}

/// A store under a [`Policy`].
///
/// To the circuit breaker, every outcome is a success, including a lock that is held, and every [`Failure`] is a
/// failure. Outcomes are never retried. A call that the breaker refuses fails with [`Failure::NotDone`] at once, and is
/// not retried either.
///
/// Futures may be dropped at any point, like those of every store. The breaker does not count such a call.
pub struct ResilientStore {
    name: String,
    store: Arc<dyn Store>,
    timeout: Option<Duration>,
    retry: Option<Retry>,
    breaker: Option<Breaker>,
    closing: CancellationToken,
    metrics: PolicyMetrics,
}

/// Why a try failed.
enum Failed {
    /// The store was called and failed.
    Tried(Failure),
    /// The circuit breaker refused the call.
    Refused(Failure),
}

impl ResilientStore {
    /// Puts a store under a policy. `name` is the name of the store, for the log.
    pub fn new(name: impl Into<String>, store: Arc<dyn Store>, policy: Policy) -> Self {
        let name = name.into();
        let breaker = policy.circuit_breaker.map(|settings| Breaker::new(&name, settings));
        let metrics = PolicyMetrics::new(&name);
        let closing = CancellationToken::new();
        Self {
            name,
            store,
            timeout: policy.timeout,
            retry: policy.retry,
            breaker,
            closing,
            metrics,
        }
    }

    /// Tries until an outcome or a final failure comes, or no retry is left.
    async fn call<'a, T>(
        &self,
        operation: &str,
        attempt: impl Fn() -> BoxFuture<'a, Result<T, Failure>>,
        given_up: impl Fn(String) -> Failure,
        may_repeat: impl Fn(&Failure) -> bool,
    ) -> Result<T, Failure> {
        let mut waits = self.retry.map(Retry::waits);
        let mut tries: u32 = 1;
        loop {
            let failure = match self.attempt(&attempt, &given_up).await {
                Ok(outcome) => {
                    if tries > 1 {
                        tracing::debug!(store = self.name, tries, "{operation} recovered");
                    }
                    return Ok(outcome);
                }
                Err(Failed::Refused(failure)) => return Err(failure),
                Err(Failed::Tried(failure)) => failure,
            };
            if !may_repeat(&failure) {
                return Err(failure);
            }
            let Some(wait) = waits.as_mut().and_then(Iterator::next) else {
                return Err(failure);
            };
            tracing::debug!(
                store = self.name,
                tries,
                "{operation} failed, next try in {wait:?}: {failure}"
            );
            tokio::select! {
                biased;
                () = self.closing.cancelled() => return Err(failure),
                () = retrying::over() => return Err(failure),
                () = tokio::time::sleep(wait) => tries = tries.saturating_add(1),
            }
            self.metrics.retried();
        }
    }

    /// Makes one try, if the breaker lets it pass.
    async fn attempt<'a, T>(
        &self,
        attempt: &impl Fn() -> BoxFuture<'a, Result<T, Failure>>,
        given_up: &impl Fn(String) -> Failure,
    ) -> Result<T, Failed> {
        // Asks the breaker before it calls the store, which may act before the future is awaited.
        let passage = match self.breaker.as_ref().map(Breaker::enter).transpose() {
            Ok(passage) => passage,
            Err(refusal) => {
                self.metrics.refused();
                return Err(Failed::Refused(Failure::not_done(refusal.to_string())));
            }
        };
        let outcome = match self.timeout {
            None => attempt().await,
            Some(limit) => tokio::time::timeout(limit, attempt()).await.unwrap_or_else(|_| {
                self.metrics.timed_out();
                Err(given_up(format!("no outcome within the resiliency timeout of {limit:?}")))
            }),
        };
        if let Some(passage) = passage {
            passage.end(outcome.is_ok());
        }
        outcome.map_err(Failed::Tried)
    }
}

impl Store for ResilientStore {
    /// A try that the timeout ends is [`Failure::Unknown`], because the store may have sent the command. A grant that
    /// still comes is given back.
    fn acquire<'a>(
        &'a self,
        key: &'a str,
        owner: &'a str,
        ttl: Duration,
    ) -> BoxFuture<'a, Result<Acquired, Failure>> {
        let attempt = move || self.store.acquire(key, owner, ttl);
        Box::pin(self.call("acquire", attempt, acquire_given_up(ttl), did_nothing))
    }

    /// The same as [`acquire`](Self::acquire).
    fn acquire_fenced<'a>(
        &'a self,
        key: &'a str,
        owner: &'a str,
        ttl: Duration,
    ) -> BoxFuture<'a, Result<Acquired, Failure>> {
        let attempt = move || self.store.acquire_fenced(key, owner, ttl);
        Box::pin(self.call("acquire", attempt, acquire_given_up(ttl), did_nothing))
    }

    /// Sent again after any failure, because it is idempotent.
    fn raise_fencing_token<'a>(
        &'a self,
        key: &'a str,
        at_least: u64,
    ) -> BoxFuture<'a, Result<(), Failure>> {
        let attempt = move || self.store.raise_fencing_token(key, at_least);
        Box::pin(self.call("raise", attempt, Failure::not_done, |_| true))
    }

    /// A try that the timeout ends is [`Failure::Unknown`], because the store may have sent the command, unless a retry
    /// has an outcome.
    fn release<'a>(
        &'a self,
        key: &'a str,
        owner: &'a str,
    ) -> BoxFuture<'a, Result<Released, Failure>> {
        let given_up = |cause| Failure::unknown(cause, None);
        let attempt = move || self.store.release(key, owner);
        Box::pin(self.call("release", attempt, given_up, |_| true))
    }

    /// A try that the timeout ends is [`Failure::Unknown`], because the store may have sent the command, unless a retry
    /// has an outcome. An extend that may shorten the lock is not sent again after an unknown outcome: the network
    /// could deliver an earlier try late, which would shorten the time that a later try got.
    fn extend<'a>(
        &'a self,
        key: &'a str,
        owner: &'a str,
        ttl: Duration,
        may_shorten: bool,
    ) -> BoxFuture<'a, Result<Extended, Failure>> {
        let given_up = |cause| Failure::unknown(cause, None);
        let attempt = move || self.store.extend(key, owner, ttl, may_shorten);
        let may_repeat = move |failure: &Failure| !may_shorten || did_nothing(failure);
        Box::pin(self.call("extend", attempt, given_up, may_repeat))
    }

    fn inspect<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Option<Holding>, Failure>> {
        let attempt = move || self.store.inspect(key);
        Box::pin(self.call("inspect", attempt, Failure::not_done, |_| true))
    }

    /// A list is not under the policy, which is meant for calls about one lock: a scan of all keys takes longer, and
    /// the requests of operators must not open the breaker.
    fn list<'a>(
        &'a self,
        prefix: &'a str,
        cursor: Option<&'a str>,
        limit: u32,
    ) -> BoxFuture<'a, Result<KeyPage, Failure>> {
        self.store.list(prefix, cursor, limit)
    }

    fn is_cursor(&self, cursor: &str) -> bool {
        self.store.is_cursor(cursor)
    }

    /// Not sent again after an unknown outcome: a second try would end the hold of an owner that took the lock
    /// meanwhile.
    fn force_release<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Option<String>, Failure>> {
        let given_up = |cause| Failure::unknown(cause, None);
        let attempt = move || self.store.force_release(key);
        Box::pin(self.call("force-release", attempt, given_up, did_nothing))
    }

    /// A watch is not under the policy. A caller without a watch polls the store, and those calls are under it.
    fn watch<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Option<Watched>> {
        self.store.watch(key)
    }

    fn describe(&self) -> String {
        self.store.describe()
    }

    fn survey(&self) -> BoxFuture<'_, Survey> {
        self.store.survey()
    }

    fn join_quorum(&self, node: &str, servers: &Arc<Identities>) {
        self.store.join_quorum(node, servers);
    }

    /// A call that waits for a retry fails with the failure of its latest try.
    fn close(&self) -> BoxFuture<'_, ()> {
        self.closing.cancel();
        self.store.close()
    }
}

/// The failure of an acquire that the timeout ended.
fn acquire_given_up(ttl: Duration) -> impl Fn(String) -> Failure {
    move |cause| {
        let longest = longest_hold(ttl, Duration::ZERO);
        Failure::unknown(cause, SystemTime::now().checked_add(longest))
    }
}

fn did_nothing(failure: &Failure) -> bool {
    matches!(failure, Failure::NotDone(_))
}

impl fmt::Debug for ResilientStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResilientStore")
            .field("name", &self.name)
            .field("timeout", &self.timeout)
            .field("retry", &self.retry)
            .field("breaker", &self.breaker)
            .finish_non_exhaustive()
    }
}

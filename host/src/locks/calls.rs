//! Calls under way: each has a span and is counted by its result.

use ::metrics::Counter;
use tracing::Span;

use super::{
    outcomes::{Attempt, ErrorKind, Outcome, Unlock},
    spans,
};
use crate::{
    error::Error,
    metrics::{LOCK_ATTEMPTS, TryLockLabels, UNLOCKS, UnlockLabels},
};

/// The label of calls that name an unknown store: the names that callers send are unbounded.
const UNKNOWN: &str = "_unknown";

/// The counters of the calls to one store, each at the index of its outcome.
pub(crate) struct Calls {
    attempts: Vec<Counter>,
    unlocks: Vec<Counter>,
}

impl Calls {
    pub(super) fn new(store: &str) -> Self {
        let attempts = Attempt::all().map(|it| {
            LOCK_ATTEMPTS.with(TryLockLabels { store, outcome: it.name(), error: it.error() })
        });
        let unlocks = Unlock::all()
            .map(|it| UNLOCKS.with(UnlockLabels { store, status: it.name(), error: it.error() }));
        Self { attempts: attempts.collect(), unlocks: unlocks.collect() }
    }

    /// Counts calls that name an unknown store.
    pub(crate) fn to_unknown_store() -> Self {
        Self::new(UNKNOWN)
    }

    /// Begins a try-lock. `store` is the name that the caller sent.
    pub(crate) fn attempt(&self, store: &str) -> Call<'_, Attempt> {
        Call::new(&self.attempts, store)
    }

    /// Begins an unlock. `store` is the name that the caller sent.
    pub(crate) fn unlock(&self, store: &str) -> Call<'_, Unlock> {
        Call::new(&self.unlocks, store)
    }
}

/// A call under way. Dropping it counts the call and closes its span; without an outcome the caller has
/// left.
pub(crate) struct Call<'a, O: Outcome> {
    counters: &'a [Counter],
    outcome: O,
    span: Span,
}

impl<'a, O: Outcome> Call<'a, O> {
    fn new(counters: &'a [Counter], store: &str) -> Self {
        let span = spans::call(O::OPERATION, store);
        Self { counters, outcome: ErrorKind::Cancelled.into(), span }
    }

    /// The call's span, which is disabled unless a subscriber wants it.
    pub(crate) fn span(&self) -> &Span {
        &self.span
    }

    /// Sets the outcome.
    pub(crate) fn answered(&mut self, outcome: impl Into<O>) {
        self.outcome = outcome.into();
    }

    /// Sets the outcome if the call failed.
    pub(crate) fn ended<T>(&mut self, result: &Result<T, Error>) {
        if let Err(error) = result {
            self.outcome = ErrorKind::from(error).into();
        }
    }
}

impl<O: Outcome> Drop for Call<'_, O> {
    fn drop(&mut self) {
        self.counters[self.outcome.index()].increment(1);
        spans::end(&self.span, self.outcome.name(), self.outcome.error());
    }
}

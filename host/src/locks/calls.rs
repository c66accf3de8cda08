//! Calls under way: each has a span and is counted by its result.

use ::metrics::Counter;
use tracing::Span;

use super::{
    result::{CallResult, ErrorKind},
    spans,
};
use crate::{
    metrics::{
        ADMIN_CALLS, AdminLabels, LEASE_EXTENDS, LOCK_ATTEMPTS, LOCK_INSPECTIONS, OutcomeLabels,
        TryLockLabels, UNLOCKS, UnlockLabels,
    },
    types::Verb,
};

/// The label of calls that name an unknown store: the names that callers send are unbounded.
const UNKNOWN: &str = "_unknown";

/// The counters of the calls to one store, each at the index of its result.
pub(super) struct CallCounters {
    try_locks: Vec<Counter>,
    unlocks: Vec<Counter>,
    acquires: Vec<Counter>,
    extends: Vec<Counter>,
    inspects: Vec<Counter>,
    lists: Vec<Counter>,
    force_releases: Vec<Counter>,
}

impl CallCounters {
    pub(super) fn new(store: &str) -> Self {
        let counters = |verb| {
            let results = CallResult::all();
            results.map(|result| counter(verb, store, result)).collect()
        };
        Self {
            try_locks: counters(Verb::TryLock),
            unlocks: counters(Verb::Unlock),
            acquires: counters(Verb::Acquire),
            extends: counters(Verb::Extend),
            inspects: counters(Verb::Inspect),
            lists: counters(Verb::ListLocks),
            force_releases: counters(Verb::ForceRelease),
        }
    }

    /// Counts calls that name an unknown store.
    pub(super) fn of_unknown_store() -> Self {
        Self::new(UNKNOWN)
    }

    /// Begins a call. `store` is the name that the caller sent.
    pub(super) fn begin(&self, verb: Verb, store: &str) -> Call<'_> {
        let (operation, counters) = match verb {
            Verb::TryLock => ("try_lock", &self.try_locks),
            Verb::Unlock => ("unlock", &self.unlocks),
            Verb::Acquire => ("acquire", &self.acquires),
            Verb::Extend => ("extend", &self.extends),
            Verb::Inspect => ("inspect", &self.inspects),
            Verb::ListLocks => ("list_locks", &self.lists),
            Verb::ForceRelease => ("force_release", &self.force_releases),
        };
        let span = spans::call(operation, store);
        Call { verb, counters, result: ErrorKind::Cancelled.into(), span, fencing_token: None }
    }
}

/// A verb counts only the results that it can have.
fn counter(verb: Verb, store: &str, result: CallResult) -> Counter {
    let Some(name) = result.name(verb) else { return Counter::noop() };
    let error = result.error();
    match verb {
        Verb::TryLock | Verb::Acquire => {
            LOCK_ATTEMPTS.with(TryLockLabels { store, outcome: name, error })
        }
        Verb::Extend => LEASE_EXTENDS.with(OutcomeLabels { store, outcome: name, error }),
        Verb::Inspect => LOCK_INSPECTIONS.with(OutcomeLabels { store, outcome: name, error }),
        Verb::ListLocks => admin("list", store, name, error),
        Verb::ForceRelease => admin("force_release", store, name, error),
        Verb::Unlock => UNLOCKS.with(UnlockLabels { store, status: name, error }),
    }
}

fn admin(operation: &str, store: &str, outcome: &str, error: &str) -> Counter {
    ADMIN_CALLS.with(AdminLabels { store, operation, outcome, error })
}

/// A call under way. Dropping it counts the call and closes its span. A call without a result by then counts as one
/// whose caller has left.
pub(super) struct Call<'a> {
    verb: Verb,
    counters: &'a [Counter],
    result: CallResult,
    span: Span,
    /// The fencing token of the grant that answers a try-lock.
    pub(super) fencing_token: Option<u64>,
}

impl Call<'_> {
    /// The call's span, which is disabled unless a subscriber wants it.
    pub(super) fn span(&self) -> &Span {
        &self.span
    }

    pub(super) fn set_result(&mut self, result: impl Into<CallResult>) {
        self.result = result.into();
    }
}

impl Drop for Call<'_> {
    fn drop(&mut self) {
        self.counters[self.result.index()].increment(1);
        let name = self.result.name(self.verb).unwrap_or_default();
        spans::end(&self.span, name, self.result.error());
    }
}

//! What came of calls, counted by store.

use metrics::Counter;
use tracing::Span;

use super::{
    Definition,
    definitions::{LOCK_ATTEMPTS, UNLOCKS},
    spans,
};
use crate::{
    bindings::provider::holdfast::lock::store::{Acquired, Failure, Released},
    error::Error,
};

/// The store's label where a call names none that there is: what callers write there is unbounded.
const UNKNOWN: &str = "_unknown";

/// What came of a try-lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Attempt {
    Acquired,
    Held,
    Error(ErrorKind),
}

/// What came of an unlock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unlock {
    Released,
    Missing,
    HeldByOther,
    Error(ErrorKind),
}

/// Why a call has no verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ErrorKind {
    Invalid,
    StoreNotConfigured,
    StoreNotFound,
    Reserved,
    StoreFailed,
    Indeterminate,
    Overloaded,
    ComponentFailed,
    /// The caller went away.
    Cancelled,
    Other,
}

/// An outcome that is counted.
pub(crate) trait Outcome: Copy + From<ErrorKind> {
    /// The calls that can have it.
    const CALL: &'static str;

    /// Its place among all outcomes.
    fn index(self) -> usize;

    /// The outcome, and the error or nothing, as labels.
    fn labels(self) -> [&'static str; 2];
}

impl ErrorKind {
    const ALL: [Self; 10] = [
        Self::Invalid,
        Self::StoreNotConfigured,
        Self::StoreNotFound,
        Self::Reserved,
        Self::StoreFailed,
        Self::Indeterminate,
        Self::Overloaded,
        Self::ComponentFailed,
        Self::Cancelled,
        Self::Other,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::Invalid => "invalid",
            Self::StoreNotConfigured => "store_not_configured",
            Self::StoreNotFound => "store_not_found",
            Self::Reserved => "reserved",
            Self::StoreFailed => "store_failed",
            Self::Indeterminate => "indeterminate",
            Self::Overloaded => "overloaded",
            Self::ComponentFailed => "component_failed",
            Self::Cancelled => "cancelled",
            Self::Other => "other",
        }
    }
}

impl From<&Error> for ErrorKind {
    fn from(error: &Error) -> Self {
        match error {
            Error::ResourceIdEmpty(_) | Error::LockOwnerEmpty(_) | Error::ExpiryNotPositive(_) => {
                Self::Invalid
            }
            Error::StoreNotConfigured(_) => Self::StoreNotConfigured,
            Error::StoreNotFound(_) => Self::StoreNotFound,
            Error::ResourceIdReserved(_) => Self::Reserved,
            Error::StoreFailed(_) => Self::StoreFailed,
            Error::Indeterminate { .. } => Self::Indeterminate,
            Error::Overloaded { .. } => Self::Overloaded,
            Error::Guest(_) => Self::ComponentFailed,
            Error::Other(_) => Self::Other,
        }
    }
}

impl From<&Failure> for ErrorKind {
    fn from(failure: &Failure) -> Self {
        match failure {
            Failure::NotDone(_) => Self::StoreFailed,
            Failure::Unknown(_) => Self::Indeterminate,
        }
    }
}

impl Attempt {
    fn all() -> impl Iterator<Item = Self> {
        [Self::Acquired, Self::Held].into_iter().chain(ErrorKind::ALL.map(Self::Error))
    }
}

impl Outcome for Attempt {
    const CALL: &'static str = "try_lock";

    fn index(self) -> usize {
        match self {
            Self::Acquired => 0,
            Self::Held => 1,
            Self::Error(kind) => 2 + kind as usize,
        }
    }

    fn labels(self) -> [&'static str; 2] {
        match self {
            Self::Acquired => ["acquired", ""],
            Self::Held => ["held", ""],
            Self::Error(kind) => ["error", kind.name()],
        }
    }
}

impl From<ErrorKind> for Attempt {
    fn from(kind: ErrorKind) -> Self {
        Self::Error(kind)
    }
}

impl From<&Result<Acquired, Failure>> for Attempt {
    fn from(outcome: &Result<Acquired, Failure>) -> Self {
        match outcome {
            Ok(Acquired::Granted(_)) => Self::Acquired,
            Ok(Acquired::Held) => Self::Held,
            Err(failure) => Self::Error(failure.into()),
        }
    }
}

impl Unlock {
    fn all() -> impl Iterator<Item = Self> {
        let statuses = [Self::Released, Self::Missing, Self::HeldByOther];
        statuses.into_iter().chain(ErrorKind::ALL.map(Self::Error))
    }
}

impl Outcome for Unlock {
    const CALL: &'static str = "unlock";

    fn index(self) -> usize {
        match self {
            Self::Released => 0,
            Self::Missing => 1,
            Self::HeldByOther => 2,
            Self::Error(kind) => 3 + kind as usize,
        }
    }

    fn labels(self) -> [&'static str; 2] {
        match self {
            Self::Released => ["success", ""],
            Self::Missing => ["lock_does_not_exist", ""],
            Self::HeldByOther => ["lock_belongs_to_others", ""],
            Self::Error(kind) => ["error", kind.name()],
        }
    }
}

impl From<ErrorKind> for Unlock {
    fn from(kind: ErrorKind) -> Self {
        Self::Error(kind)
    }
}

impl From<&Result<Released, Failure>> for Unlock {
    fn from(outcome: &Result<Released, Failure>) -> Self {
        match outcome {
            Ok(Released::Released) => Self::Released,
            Ok(Released::Missing) => Self::Missing,
            Ok(Released::HeldByOther) => Self::HeldByOther,
            Err(failure) => Self::Error(failure.into()),
        }
    }
}

/// The counters of calls to one store, each at its outcome's index.
pub(crate) struct Calls {
    attempts: Vec<Counter>,
    unlocks: Vec<Counter>,
}

impl Calls {
    /// Of the calls that name no store that there is.
    pub(crate) fn to_no_store() -> Self {
        Self::new(UNKNOWN)
    }

    pub(super) fn new(store: &str) -> Self {
        Self {
            attempts: Attempt::all().map(|it| counter(&LOCK_ATTEMPTS, store, it)).collect(),
            unlocks: Unlock::all().map(|it| counter(&UNLOCKS, store, it)).collect(),
        }
    }

    /// A try-lock begins. `store` is what the caller calls the store.
    pub(crate) fn attempt(&self, store: &str) -> Call<'_, Attempt> {
        Call::new(&self.attempts, store)
    }

    /// An unlock begins, likewise.
    pub(crate) fn unlock(&self, store: &str) -> Call<'_, Unlock> {
        Call::new(&self.unlocks, store)
    }
}

fn counter(metric: &Definition, store: &str, outcome: impl Outcome) -> Counter {
    let [outcome, error] = outcome.labels();
    metric.counter(&[store, outcome, error])
}

/// A call that is under way: it is counted, and its span is closed, when this is dropped. Until an
/// outcome is known, that means that the caller went away.
pub(crate) struct Call<'a, O: Outcome> {
    counters: &'a [Counter],
    outcome: O,
    span: Span,
}

impl<'a, O: Outcome> Call<'a, O> {
    fn new(counters: &'a [Counter], store: &str) -> Self {
        let span = spans::call(O::CALL, store);
        Self { counters, outcome: ErrorKind::Cancelled.into(), span }
    }

    /// The call's span; disabled where nobody watches.
    pub(crate) fn span(&self) -> &Span {
        &self.span
    }

    /// What the store said.
    pub(crate) fn answered(&mut self, outcome: impl Into<O>) {
        self.outcome = outcome.into();
    }

    /// The call's end, where it may be an error.
    pub(crate) fn ended<T>(&mut self, result: &Result<T, Error>) {
        if let Err(error) = result {
            self.outcome = ErrorKind::from(error).into();
        }
    }
}

impl<O: Outcome> Drop for Call<'_, O> {
    fn drop(&mut self) {
        self.counters[self.outcome.index()].increment(1);
        let [outcome, error] = self.outcome.labels();
        spans::end(&self.span, outcome, error);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_outcome_has_its_own_counter() {
        for (place, outcome) in Attempt::all().enumerate() {
            assert_eq!(outcome.index(), place, "{outcome:?}");
        }
        for (place, outcome) in Unlock::all().enumerate() {
            assert_eq!(outcome.index(), place, "{outcome:?}");
        }
    }
}

//! The results of calls, by their names in metrics and spans.

use crate::{
    error::Error,
    store::KeyPage,
    types::{self, Acquired, Extended, Failure, Holding, Outcome, Released, Verb},
};

/// The result of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CallResult {
    Ordinary(Ordinary),
    Error(ErrorKind),
}

/// An outcome of a store that is not a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ordinary {
    Granted,
    Held,
    Released,
    Missing,
    HeldByOther,
    Extended,
    Listed,
}

/// Why a call failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ErrorKind {
    Invalid,
    StoreNotConfigured,
    StoreNotFound,
    Reserved,
    StoreFailed,
    Indeterminate,
    Overloaded,
    ComponentFailed,
    /// The caller left before the call ended.
    Cancelled,
    Other,
}

impl CallResult {
    /// All results, each at its [`index`](Self::index).
    pub(super) fn all() -> impl Iterator<Item = Self> {
        let ordinary = Ordinary::ALL.map(Self::Ordinary);
        ordinary.into_iter().chain(ErrorKind::ALL.map(Self::Error))
    }

    pub(super) fn index(self) -> usize {
        match self {
            Self::Ordinary(outcome) => outcome as usize,
            Self::Error(kind) => Ordinary::ALL.len() + kind as usize,
        }
    }

    /// The name of the result; `None` if the verb cannot have it.
    pub(super) fn name(self, verb: Verb) -> Option<&'static str> {
        match (verb, self) {
            (Verb::TryLock | Verb::Acquire, Self::Ordinary(Ordinary::Granted)) => Some("acquired"),
            (Verb::TryLock | Verb::Acquire, Self::Ordinary(Ordinary::Held)) => Some("held"),
            (Verb::Unlock, Self::Ordinary(Ordinary::Released)) => Some("success"),
            (Verb::Unlock, Self::Ordinary(Ordinary::Missing)) => Some("lock_does_not_exist"),
            (Verb::Unlock, Self::Ordinary(Ordinary::HeldByOther)) => Some("lock_belongs_to_others"),
            (Verb::Extend, Self::Ordinary(Ordinary::Extended)) => Some("extended"),
            (Verb::Extend, Self::Ordinary(Ordinary::Missing)) => Some("gone"),
            (Verb::Extend, Self::Ordinary(Ordinary::HeldByOther)) => Some("held_by_other"),
            (Verb::Inspect, Self::Ordinary(Ordinary::Held)) => Some("held"),
            (Verb::Inspect, Self::Ordinary(Ordinary::Missing)) => Some("free"),
            (Verb::ListLocks, Self::Ordinary(Ordinary::Listed)) => Some("listed"),
            (Verb::ForceRelease, Self::Ordinary(Ordinary::Released)) => Some("released"),
            (Verb::ForceRelease, Self::Ordinary(Ordinary::Missing)) => Some("free"),
            (_, Self::Ordinary(_)) => None,
            (_, Self::Error(_)) => Some("error"),
        }
    }

    /// The name of the error; empty unless the call failed.
    pub(super) fn error(self) -> &'static str {
        match self {
            Self::Ordinary(_) => "",
            Self::Error(kind) => kind.name(),
        }
    }
}

impl From<Ordinary> for CallResult {
    fn from(outcome: Ordinary) -> Self {
        Self::Ordinary(outcome)
    }
}

impl From<ErrorKind> for CallResult {
    fn from(kind: ErrorKind) -> Self {
        Self::Error(kind)
    }
}

impl From<&Result<Acquired, Failure>> for CallResult {
    fn from(outcome: &Result<Acquired, Failure>) -> Self {
        match outcome {
            Ok(acquired) => Self::Ordinary(acquired.into()),
            Err(failure) => Self::Error(failure.into()),
        }
    }
}

impl From<&Result<Released, Failure>> for CallResult {
    fn from(outcome: &Result<Released, Failure>) -> Self {
        match outcome {
            Ok(released) => Self::Ordinary(released.into()),
            Err(failure) => Self::Error(failure.into()),
        }
    }
}

impl From<&Result<Extended, Failure>> for CallResult {
    fn from(outcome: &Result<Extended, Failure>) -> Self {
        Self::Ordinary(match outcome {
            Ok(Extended::Extended(_)) => Ordinary::Extended,
            Ok(Extended::Gone) => Ordinary::Missing,
            Ok(Extended::HeldByOther) => Ordinary::HeldByOther,
            Err(failure) => return Self::Error(failure.into()),
        })
    }
}

impl From<&Result<Option<Holding>, Failure>> for CallResult {
    fn from(outcome: &Result<Option<Holding>, Failure>) -> Self {
        match outcome {
            Ok(Some(_)) => Self::Ordinary(Ordinary::Held),
            Ok(None) => Self::Ordinary(Ordinary::Missing),
            Err(failure) => Self::Error(failure.into()),
        }
    }
}

impl From<&Result<KeyPage, Failure>> for CallResult {
    fn from(outcome: &Result<KeyPage, Failure>) -> Self {
        match outcome {
            Ok(_) => Self::Ordinary(Ordinary::Listed),
            Err(failure) => Self::Error(failure.into()),
        }
    }
}

impl From<&Result<Option<String>, Failure>> for CallResult {
    fn from(outcome: &Result<Option<String>, Failure>) -> Self {
        match outcome {
            Ok(Some(_)) => Self::Ordinary(Ordinary::Released),
            Ok(None) => Self::Ordinary(Ordinary::Missing),
            Err(failure) => Self::Error(failure.into()),
        }
    }
}

impl Ordinary {
    pub(super) const ALL: [Self; 7] = [
        Self::Granted,
        Self::Held,
        Self::Released,
        Self::Missing,
        Self::HeldByOther,
        Self::Extended,
        Self::Listed,
    ];

    /// The outcome of a try-lock or an unlock; `None` for a failure, and for the verbs whose answers depend on
    /// more than the outcome's kind.
    pub(super) fn of(outcome: &Outcome<'_>) -> Option<Self> {
        match outcome {
            Outcome::Acquired(acquired) => Some(acquired.into()),
            Outcome::Released(released) => Some(released.into()),
            _ => None,
        }
    }
}

impl From<&Acquired> for Ordinary {
    fn from(acquired: &Acquired) -> Self {
        match acquired {
            Acquired::Granted(_) => Self::Granted,
            Acquired::Held => Self::Held,
        }
    }
}

impl From<&Released> for Ordinary {
    fn from(released: &Released) -> Self {
        match released {
            Released::Released => Self::Released,
            Released::Missing => Self::Missing,
            Released::HeldByOther => Self::HeldByOther,
        }
    }
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
            Error::Lock(error) => error.into(),
            Error::Overloaded { .. } | Error::TooManyWaits { .. } => Self::Overloaded,
            Error::WaitsEnded => Self::Cancelled,
            Error::Component(_) => Self::ComponentFailed,
        }
    }
}

impl From<&types::Error> for ErrorKind {
    fn from(error: &types::Error) -> Self {
        use types::Error;
        match error {
            Error::ResourceIdEmpty(_)
            | Error::LockOwnerEmpty(_)
            | Error::ExpiryNotPositive(_)
            | Error::MalformedRequest(_)
            | Error::RequestTooLarge(_) => Self::Invalid,
            Error::StoreNotConfigured(_) => Self::StoreNotConfigured,
            Error::StoreNotFound(_) => Self::StoreNotFound,
            Error::ResourceIdReserved(_) => Self::Reserved,
            Error::StoreFailed(_) => Self::StoreFailed,
            Error::Indeterminate(_) => Self::Indeterminate,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_result_is_at_its_index() {
        for (index, result) in CallResult::all().enumerate() {
            assert_eq!(result.index(), index, "{result:?}");
        }
    }
}

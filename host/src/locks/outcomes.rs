//! The results of calls, as metrics and spans name them.

use crate::{
    bindings::provider::holdfast::lock::store::{Acquired, Failure, Released},
    error::Error,
};

/// The result of a try-lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Attempt {
    Acquired,
    Held,
    Error(ErrorKind),
}

/// The result of an unlock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unlock {
    Released,
    Missing,
    HeldByOther,
    Error(ErrorKind),
}

/// Why a call failed.
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
    /// The caller left before the call ended.
    Cancelled,
    Other,
}

/// The result of a call of one kind.
pub(crate) trait Outcome: Copy + From<ErrorKind> {
    /// The name of the call in spans.
    const OPERATION: &'static str;

    /// All results, each at its [`index`](Self::index).
    fn all() -> impl Iterator<Item = Self>;

    fn index(self) -> usize;

    fn name(self) -> &'static str;

    /// The name of the error; empty unless the call failed.
    fn error(self) -> &'static str;
}

impl Outcome for Attempt {
    const OPERATION: &'static str = "try_lock";

    fn all() -> impl Iterator<Item = Self> {
        [Self::Acquired, Self::Held].into_iter().chain(ErrorKind::ALL.map(Self::Error))
    }

    fn index(self) -> usize {
        match self {
            Self::Acquired => 0,
            Self::Held => 1,
            Self::Error(kind) => 2 + kind as usize,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Acquired => "acquired",
            Self::Held => "held",
            Self::Error(_) => "error",
        }
    }

    fn error(self) -> &'static str {
        match self {
            Self::Error(kind) => kind.name(),
            Self::Acquired | Self::Held => "",
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

impl Outcome for Unlock {
    const OPERATION: &'static str = "unlock";

    fn all() -> impl Iterator<Item = Self> {
        let statuses = [Self::Released, Self::Missing, Self::HeldByOther];
        statuses.into_iter().chain(ErrorKind::ALL.map(Self::Error))
    }

    fn index(self) -> usize {
        match self {
            Self::Released => 0,
            Self::Missing => 1,
            Self::HeldByOther => 2,
            Self::Error(kind) => 3 + kind as usize,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Released => "success",
            Self::Missing => "lock_does_not_exist",
            Self::HeldByOther => "lock_belongs_to_others",
            Self::Error(_) => "error",
        }
    }

    fn error(self) -> &'static str {
        match self {
            Self::Error(kind) => kind.name(),
            Self::Released | Self::Missing | Self::HeldByOther => "",
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_result_is_at_its_index() {
        for (index, result) in Attempt::all().enumerate() {
            assert_eq!(result.index(), index, "{result:?}");
        }
        for (index, result) in Unlock::all().enumerate() {
            assert_eq!(result.index(), index, "{result:?}");
        }
    }
}

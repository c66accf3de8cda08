//! The errors of calls on [`Locks`](crate::Locks), and of building a handle.

use std::time::SystemTime;

use crate::types;

/// Why a call has no verdict.
///
/// Nothing changed in the store, unless the error [is indeterminate](Self::is_indeterminate).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A rule refuses the call, or the store failed. The message is that of Dapr's API.
    #[error("{}", .0.message())]
    Lock(types::Error),
    /// More calls are in flight and waiting than the [`Limits`](crate::Limits) allow. The host sent nothing.
    #[error("too many calls: {in_flight} in flight and {waiting} waiting")]
    Overloaded {
        /// How many calls may be in flight.
        in_flight: usize,
        /// How many calls may wait for their turn.
        waiting: usize,
    },
    /// More calls wait for locks than the [`Limits`](crate::Limits) allow. The host sent nothing.
    #[error("too many calls: {lock_waits} wait for locks")]
    TooManyWaits {
        /// How many calls may wait for locks.
        lock_waits: usize,
    },
    /// [All waits were ended](crate::Locks::end_waits) before the lock was free. The caller does not hold it.
    #[error("all waits for locks were ended")]
    WaitsEnded,
    /// The lock component trapped or exceeded its limits. The host discarded its instance, and released a lock that the
    /// call took.
    #[error("the lock component failed: {0}")]
    Component(String),
}

impl Error {
    /// Whether the host asked the store and lost its reply: the store may have carried out the operation or not.
    pub fn is_indeterminate(&self) -> bool {
        matches!(self, Self::Lock(types::Error::Indeterminate(_)))
    }

    /// After an indeterminate try-lock or acquire: the latest time at which the lock, if it was taken, expires.
    /// `None` after any other error, or if no bound is known.
    pub fn held_until(&self) -> Option<SystemTime> {
        match self {
            Self::Lock(types::Error::Indeterminate(outcome)) => outcome.held_until(),
            _ => None,
        }
    }
}

impl From<types::Error> for Error {
    fn from(error: types::Error) -> Self {
        Self::Lock(error)
    }
}

/// The error that a plugin gets: its interface has no case for the host's own errors.
impl From<Error> for types::Error {
    fn from(error: Error) -> Self {
        match error {
            Error::Lock(error) => error,
            Error::Overloaded { .. }
            | Error::TooManyWaits { .. }
            | Error::WaitsEnded
            | Error::Component(_) => Self::Other(error.to_string()),
        }
    }
}

/// Why [`Locks`](crate::Locks) could not be built.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// Two stores have one name.
    #[error("lock store {0} was added twice")]
    DuplicateStore(String),
    /// No store of that name was given to the builder.
    #[error("lock store {0} not found")]
    StoreNotFound(String),
    /// The rules refuse the application's id or a store's settings, because two applications or two stores could share
    /// a key. The text names the id, or the store and the setting.
    #[error("{0}")]
    Refused(String),
    /// One of the [`Limits`](crate::Limits) is out of its bounds.
    #[error("limit {limit} {problem}")]
    Limit {
        /// The name of the field.
        limit: &'static str,
        /// The bound, such as "is above 4 GiB".
        problem: &'static str,
    },
    /// wasmtime cannot load the lock component.
    #[error("the lock component cannot be loaded: {0:#}")]
    Component(#[source] wasmtime::Error),
}

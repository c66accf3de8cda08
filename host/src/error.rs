//! Why a call on [`Locks`](crate::Locks) has no verdict, and why one could not be built.

use std::time::SystemTime;

/// Why a try-lock or unlock has no verdict.
///
/// The cases are those of `holdfast:lock/lock.error`, whose messages are Dapr's, and two of the
/// host's own. Nothing was changed in the store, unless it is [`Error::Indeterminate`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// There is no lock store at all.
    #[error("{0}")]
    StoreNotConfigured(String),
    /// There is no lock store of that name.
    #[error("{0}")]
    StoreNotFound(String),
    /// The resource id is empty.
    #[error("{0}")]
    ResourceIdEmpty(String),
    /// The lock owner is empty.
    #[error("{0}")]
    LockOwnerEmpty(String),
    /// The expiry is zero or less.
    #[error("{0}")]
    ExpiryNotPositive(String),
    /// The resource id contains `||`, which separates the parts of a key.
    #[error("{0}")]
    ResourceIdReserved(String),
    /// The store failed or refused the operation.
    #[error("{0}")]
    StoreFailed(String),
    /// The store was asked and its reply was lost: the operation may have been done or not.
    #[error("{message}")]
    Indeterminate {
        /// The message, for a person.
        message: String,
        /// After a try-lock: the latest time at which the lock, if it was taken, runs out by
        /// itself. `None` where no bound is known, and after an unlock.
        held_until: Option<SystemTime>,
    },
    /// None of the others.
    #[error("{0}")]
    Other(String),
    /// More calls are in flight and waiting than the [`Limits`](crate::Limits) allow. Nothing was
    /// sent.
    #[error("too many calls: {in_flight} in flight and {waiting} waiting")]
    Overloaded {
        /// How many calls may be in flight.
        in_flight: usize,
        /// How many calls may wait for their turn.
        waiting: usize,
    },
    /// The lock component trapped or ran over its limits. Its instance was thrown away; what the
    /// call took was given back.
    #[error("the lock component failed: {0}")]
    Guest(String),
}

/// Why no [`Locks`](crate::Locks) could be built.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// Two stores have one name.
    #[error("lock store {0} is given twice")]
    DuplicateStore(String),
    /// A store of that name was never given.
    #[error("there is no lock store {0} to allow")]
    NoSuchStore(String),
    /// An application's id contains `|`: with `one|` the resource `x` would have the key that `|x` has
    /// with `one`.
    #[error("the app id {0} contains |, which separates the parts of a key")]
    AppId(String),
    /// A store's settings cannot be used; says which store, which setting and why.
    #[error("{0}")]
    Store(String),
    /// A figure of the [`Limits`](crate::Limits) is out of its bounds; says which.
    #[error("limit {0}")]
    Limit(&'static str),
    /// The lock component could not be loaded into wasmtime.
    #[error("the lock component cannot be loaded: {0:#}")]
    Component(#[source] wasmtime::Error),
}

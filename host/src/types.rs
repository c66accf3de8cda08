//! The values of the contract, generated from `wit/types.wit`, with constructors and times as Rust has
//! them.
//!
//! Bindings that an embedder generates for a world of its own can use these types:
//!
//! ```ignore
//! wasmtime::component::bindgen!({
//!     path: "wit",
//!     with: { "holdfast:lock/types": holdfast::types },
//! });
//! ```

use std::time::{Duration, SystemTime, UNIX_EPOCH};

pub use crate::bindings::holdfast::lock::types::*;

impl Error {
    /// The message, for a person.
    pub fn message(&self) -> &str {
        match self {
            Self::StoreNotConfigured(message)
            | Self::StoreNotFound(message)
            | Self::ResourceIdEmpty(message)
            | Self::LockOwnerEmpty(message)
            | Self::ExpiryNotPositive(message)
            | Self::ResourceIdReserved(message)
            | Self::StoreFailed(message)
            | Self::MalformedRequest(message)
            | Self::RequestTooLarge(message)
            | Self::Other(message) => message,
            Self::Indeterminate(outcome) => &outcome.message,
        }
    }
}

impl IndeterminateOutcome {
    /// [`held_until`](Self::held_until) as a time; `None` if there is none, or if the system's clock
    /// cannot represent it.
    pub fn held_until(&self) -> Option<SystemTime> {
        time(self.held_until?)
    }
}

impl UnknownOutcome {
    /// [`held_until`](Self::held_until) as a time; `None` if there is none, or if the system's clock
    /// cannot represent it.
    pub fn held_until(&self) -> Option<SystemTime> {
        time(self.held_until?)
    }
}

impl Failure {
    /// Nothing changed in the store.
    pub fn not_done(cause: impl Into<String>) -> Self {
        Self::NotDone(cause.into())
    }

    /// The operation may have been carried out. After an acquire, `held_until` is the latest time at
    /// which the lock expires; it is rounded up to milliseconds, so it is never too early.
    pub fn unknown(cause: impl Into<String>, held_until: Option<SystemTime>) -> Self {
        Self::Unknown(UnknownOutcome {
            cause: cause.into(),
            held_until: held_until.map(milliseconds),
        })
    }

    /// What went wrong, for a person.
    pub fn cause(&self) -> &str {
        match self {
            Self::NotDone(cause) | Self::Unknown(UnknownOutcome { cause, .. }) => cause,
        }
    }
}

fn time(milliseconds: u64) -> Option<SystemTime> {
    UNIX_EPOCH.checked_add(Duration::from_millis(milliseconds))
}

/// Milliseconds since 1970, rounded up.
fn milliseconds(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX)
}

impl Request<'_> {
    pub(crate) fn verb(&self) -> Verb {
        match self {
            Self::TryLock(_) => Verb::TryLock,
            Self::Unlock(_) => Verb::Unlock,
            Self::Json(request) => request.verb,
        }
    }

    pub(crate) fn form(&self) -> Form {
        match self {
            Self::TryLock(_) | Self::Unlock(_) => Form::Typed,
            Self::Json(_) => Form::Json,
        }
    }
}

impl Answer {
    /// Why the call has no verdict, if it has none.
    pub(crate) fn error(&self) -> Option<&Error> {
        match self {
            Self::TryLock(verdict) => verdict.as_ref().err(),
            Self::Unlock(verdict) => verdict.as_ref().err(),
            Self::Json(answer) => answer.error.as_ref(),
        }
    }
}

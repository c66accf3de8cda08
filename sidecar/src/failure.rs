//! Calls that fail in the host. The rules make their messages, as they do for all other calls.

use holdfast::{LockError, Verb};
use holdfast_rules::types;

use crate::throttle::Throttle;

/// The log of calls that failed: at most ten lines in ten seconds, since a store that is down fails every call.
#[derive(Debug)]
pub(crate) struct Failures(Throttle);

impl Failures {
    pub(crate) fn new() -> Self {
        Self(Throttle::new(10))
    }

    /// Logs a failure with the message that the caller gets.
    pub(crate) fn log(&self, message: &str, trace_id: Option<String>) {
        match self.0.pass() {
            Some(0) => tracing::error!(trace_id, "{message}"),
            Some(left_out) => tracing::error!(trace_id, left_out, "{message}"),
            None => {}
        }
    }
}

/// Whether the store is at fault, and not the caller.
pub(crate) fn is_of_store(error: &LockError) -> bool {
    matches!(error, LockError::StoreFailed(_) | LockError::Indeterminate(_))
}

/// The verb as the type of the rules. The contract generates one for the host and one for the rules.
pub(crate) fn rules_verb(verb: Verb) -> types::Verb {
    match verb {
        Verb::TryLock => types::Verb::TryLock,
        Verb::Unlock => types::Verb::Unlock,
        Verb::Acquire => types::Verb::Acquire,
        Verb::Extend => types::Verb::Extend,
        Verb::Inspect => types::Verb::Inspect,
        Verb::ListLocks => types::Verb::ListLocks,
        Verb::ForceRelease => types::Verb::ForceRelease,
    }
}

/// The error as the type of the rules.
pub(crate) fn rules_error(error: LockError) -> types::Error {
    use types::Error;
    match error {
        LockError::StoreNotConfigured(message) => Error::StoreNotConfigured(message),
        LockError::StoreNotFound(message) => Error::StoreNotFound(message),
        LockError::ResourceIdEmpty(message) => Error::ResourceIdEmpty(message),
        LockError::LockOwnerEmpty(message) => Error::LockOwnerEmpty(message),
        LockError::ExpiryNotPositive(message) => Error::ExpiryNotPositive(message),
        LockError::ResourceIdReserved(message) => Error::ResourceIdReserved(message),
        LockError::StoreFailed(message) => Error::StoreFailed(message),
        LockError::MalformedRequest(message) => Error::MalformedRequest(message),
        LockError::RequestTooLarge(message) => Error::RequestTooLarge(message),
        LockError::Other(message) => Error::Other(message),
        LockError::Indeterminate(outcome) => Error::Indeterminate(types::IndeterminateOutcome {
            message: outcome.message,
            held_until: outcome.held_until,
        }),
    }
}

//! Verbs and errors of the library as types of the rules, which word the answers to callers. The contract generates one
//! type of each for the host, and one for the rules.

use holdfast::{LockError, Verb, types::IndeterminateOutcome};
use holdfast_rules::types;

/// The verb as the type of the rules.
pub(crate) fn verb(verb: Verb) -> types::Verb {
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
pub(crate) fn error(error: LockError) -> types::Error {
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

/// An error of the rules as the type of the library.
pub(crate) fn lock_error(error: types::Error) -> LockError {
    use types::Error;
    match error {
        Error::StoreNotConfigured(message) => LockError::StoreNotConfigured(message),
        Error::StoreNotFound(message) => LockError::StoreNotFound(message),
        Error::ResourceIdEmpty(message) => LockError::ResourceIdEmpty(message),
        Error::LockOwnerEmpty(message) => LockError::LockOwnerEmpty(message),
        Error::ExpiryNotPositive(message) => LockError::ExpiryNotPositive(message),
        Error::ResourceIdReserved(message) => LockError::ResourceIdReserved(message),
        Error::StoreFailed(message) => LockError::StoreFailed(message),
        Error::MalformedRequest(message) => LockError::MalformedRequest(message),
        Error::RequestTooLarge(message) => LockError::RequestTooLarge(message),
        Error::Other(message) => LockError::Other(message),
        Error::Indeterminate(outcome) => LockError::Indeterminate(IndeterminateOutcome {
            message: outcome.message,
            held_until: outcome.held_until,
        }),
    }
}

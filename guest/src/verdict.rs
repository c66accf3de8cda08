//! The second step of a call: what the store's outcome means to the caller.

use crate::{
    bindings::{Acquired, Error, Failure, IndeterminateOutcome, Released, UnlockStatus},
    message::{self, Call},
};

/// The verdict of a try-lock: whether the caller holds the lock.
///
/// # Errors
///
/// [`Error::StoreFailed`] and [`Error::Indeterminate`].
pub fn try_lock(outcome: Result<Acquired, Failure>) -> Result<bool, Error> {
    match outcome {
        Ok(Acquired::Granted(_)) => Ok(true),
        Ok(Acquired::Held) => Ok(false),
        Err(failure) => Err(failed(Call::TryLock, failure)),
    }
}

/// The verdict of an unlock.
///
/// # Errors
///
/// [`Error::StoreFailed`] and [`Error::Indeterminate`].
pub fn unlock(outcome: Result<Released, Failure>) -> Result<UnlockStatus, Error> {
    match outcome {
        Ok(Released::Released) => Ok(UnlockStatus::Success),
        Ok(Released::Missing) => Ok(UnlockStatus::LockDoesNotExist),
        Ok(Released::HeldByOther) => Ok(UnlockStatus::LockBelongsToOthers),
        Err(failure) => Err(failed(Call::Unlock, failure)),
    }
}

fn failed(call: Call, failure: Failure) -> Error {
    match failure {
        Failure::NotDone(cause) => Error::StoreFailed(message::store_failed(call, &cause)),
        Failure::Unknown(outcome) => Error::Indeterminate(IndeterminateOutcome {
            message: message::indeterminate(call, &outcome),
            held_until: outcome.held_until,
        }),
    }
}

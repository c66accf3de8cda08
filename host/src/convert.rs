//! Between the host's own types and those that the contract generates.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::{
    bindings::{
        guest::exports::holdfast::lock::{json, lock},
        plugin::holdfast::lock::lock as lent,
        provider::holdfast::lock::store as wit,
    },
    error::Error,
    locks::{Reply, UnlockStatus},
    store::{Acquired, Failure, Released},
};

impl From<Acquired> for wit::Acquired {
    fn from(acquired: Acquired) -> Self {
        match acquired {
            Acquired::Granted(grant) => {
                Self::Granted(wit::Grant { fencing_token: grant.fencing_token })
            }
            Acquired::Held => Self::Held,
        }
    }
}

impl From<Released> for wit::Released {
    fn from(released: Released) -> Self {
        match released {
            Released::Released => Self::Released,
            Released::Missing => Self::Missing,
            Released::HeldByOther => Self::HeldByOther,
        }
    }
}

impl From<Failure> for wit::Failure {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::NotDone { cause } => Self::NotDone(cause),
            Failure::Unknown { cause, held_until } => {
                let held_until = held_until.map(milliseconds);
                Self::Unknown(wit::UnknownOutcome { cause, held_until })
            }
        }
    }
}

impl From<json::Reply> for Reply {
    fn from(reply: json::Reply) -> Self {
        Self { status: reply.status, body: reply.body }
    }
}

impl From<lock::UnlockStatus> for UnlockStatus {
    fn from(status: lock::UnlockStatus) -> Self {
        match status {
            lock::UnlockStatus::Success => Self::Success,
            lock::UnlockStatus::LockDoesNotExist => Self::LockDoesNotExist,
            lock::UnlockStatus::LockBelongsToOthers => Self::LockBelongsToOthers,
            lock::UnlockStatus::InternalError => Self::InternalError,
        }
    }
}

impl From<UnlockStatus> for lent::UnlockStatus {
    fn from(status: UnlockStatus) -> Self {
        match status {
            UnlockStatus::Success => Self::Success,
            UnlockStatus::LockDoesNotExist => Self::LockDoesNotExist,
            UnlockStatus::LockBelongsToOthers => Self::LockBelongsToOthers,
            UnlockStatus::InternalError => Self::InternalError,
        }
    }
}

impl From<lock::Error> for Error {
    fn from(error: lock::Error) -> Self {
        match error {
            lock::Error::StoreNotConfigured(message) => Self::StoreNotConfigured(message),
            lock::Error::StoreNotFound(message) => Self::StoreNotFound(message),
            lock::Error::ResourceIdEmpty(message) => Self::ResourceIdEmpty(message),
            lock::Error::LockOwnerEmpty(message) => Self::LockOwnerEmpty(message),
            lock::Error::ExpiryNotPositive(message) => Self::ExpiryNotPositive(message),
            lock::Error::ResourceIdReserved(message) => Self::ResourceIdReserved(message),
            lock::Error::StoreFailed(message) => Self::StoreFailed(message),
            lock::Error::Indeterminate(outcome) => Self::Indeterminate {
                message: outcome.message,
                held_until: outcome.held_until.and_then(time),
            },
            // A typed call has no body that could be wrong.
            lock::Error::MalformedRequest(message)
            | lock::Error::RequestTooLarge(message)
            | lock::Error::Other(message) => Self::Other(message),
        }
    }
}

impl From<Error> for lent::Error {
    fn from(error: Error) -> Self {
        match error {
            Error::StoreNotConfigured(message) => Self::StoreNotConfigured(message),
            Error::StoreNotFound(message) => Self::StoreNotFound(message),
            Error::ResourceIdEmpty(message) => Self::ResourceIdEmpty(message),
            Error::LockOwnerEmpty(message) => Self::LockOwnerEmpty(message),
            Error::ExpiryNotPositive(message) => Self::ExpiryNotPositive(message),
            Error::ResourceIdReserved(message) => Self::ResourceIdReserved(message),
            Error::StoreFailed(message) => Self::StoreFailed(message),
            Error::Indeterminate { message, held_until } => {
                let held_until = held_until.map(milliseconds);
                Self::Indeterminate(lent::IndeterminateOutcome { message, held_until })
            }
            Error::Other(message) => Self::Other(message),
            refused @ (Error::Overloaded { .. } | Error::Guest(_)) => {
                Self::Other(refused.to_string())
            }
        }
    }
}

/// Milliseconds since 1970, rounded up: a lock is never said to end earlier than it may.
fn milliseconds(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX)
}

/// `None` beyond what the system's clock can say.
fn time(milliseconds: u64) -> Option<SystemTime> {
    UNIX_EPOCH.checked_add(Duration::from_millis(milliseconds))
}

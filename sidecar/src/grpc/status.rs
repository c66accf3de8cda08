//! The status of a call that failed.

use holdfast::{Error, LockError, Verb};
use holdfast_rules::message;
use tonic::{Code, Status};

use crate::{rules_types, sidecar::Ending};

/// The status of a lock call that failed, as callers of Dapr's API expect it.
pub(super) fn of(verb: Verb, error: &Error) -> Status {
    let message = error.to_string();
    match error {
        Error::Lock(error) => of_lock(error, message),
        // Nothing was sent, so the caller may try again.
        Error::Overloaded { .. } | Error::TooManyWaits { .. } => Status::unavailable(message),
        Error::WaitsEnded => Status::unavailable(Ending.to_string()),
        _ => Status::internal(message::failed(rules_types::verb(verb), &message)),
    }
}

fn of_lock(error: &LockError, message: String) -> Status {
    match error {
        LockError::StoreNotConfigured(_) => Status::failed_precondition(message),
        LockError::StoreNotFound(_)
        | LockError::ResourceIdEmpty(_)
        | LockError::LockOwnerEmpty(_)
        | LockError::ExpiryNotPositive(_)
        | LockError::MalformedRequest(_) => Status::invalid_argument(message),
        LockError::RequestTooLarge(_) => Status::resource_exhausted(message),
        LockError::ResourceIdReserved(_)
        | LockError::StoreFailed(_)
        | LockError::Indeterminate(_)
        | LockError::Other(_) => Status::internal(message),
    }
}

/// The status for a message that is too long, as other implementations of gRPC have it, Dapr's among
/// them. The library's own status differs.
pub(super) fn of_too_long(status: &Status) -> Option<Status> {
    let message = || format!("grpc: received message larger than max: {}", status.message());
    // No other status has this code.
    (status.code() == Code::OutOfRange).then(|| Status::resource_exhausted(message()))
}

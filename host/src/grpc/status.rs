//! The status of a call that has no verdict.

use tonic::{Code, Status};

use crate::Error;

/// What a lock call's error is to a caller of Dapr's API. `doing` begins the messages that the lock
/// component does not make.
pub(super) fn of(doing: &str, error: &Error) -> Status {
    let message = error.to_string();
    match error {
        Error::StoreNotConfigured(_) => Status::failed_precondition(message),
        Error::StoreNotFound(_)
        | Error::ResourceIdEmpty(_)
        | Error::LockOwnerEmpty(_)
        | Error::ExpiryNotPositive(_) => Status::invalid_argument(message),
        Error::ResourceIdReserved(_)
        | Error::StoreFailed(_)
        | Error::Indeterminate { .. }
        | Error::Other(_) => Status::internal(message),
        // Nothing was sent: another try may do.
        Error::Overloaded { .. } => Status::unavailable(message),
        Error::Guest(_) => Status::internal(format!("{doing}: {message}")),
    }
}

/// The library's status for a message that is too long is not the one that other implementations of
/// gRPC have for it, Dapr's among them.
pub(super) fn of_too_long(status: &Status) -> Option<Status> {
    let message = || format!("grpc: received message larger than max: {}", status.message());
    // No other call has this code.
    (status.code() == Code::OutOfRange).then(|| Status::resource_exhausted(message()))
}

//! Waiting until a lock is lost, for an owner who renews it over one of the APIs.

use std::time::Duration;

use holdfast::{LockError, Lost, Resource};
use holdfast_proto::leases::await_loss_response::Status;
use holdfast_rules::{MAX_TIME, message};

use super::hold::HoldError;
use crate::sidecar::Sidecar;

/// Waits until the owner does not hold the lock any more, for `wait` at most, and until the server begins to shut down.
///
/// # Errors
///
/// The errors of [`Locks::await_loss`](holdfast::Locks::await_loss), too many calls that keep their connections, an
/// owner that is empty, and a wait that is out of range.
pub(crate) async fn await_loss(
    sidecar: &Sidecar,
    resource: Resource<'_>,
    owner: &str,
    wait: Duration,
) -> Result<Status, HoldError> {
    let refused = |error: LockError| Err(HoldError::Locks(error.into()));
    if owner.is_empty() {
        return refused(LockError::LockOwnerEmpty(message::lock_owner_empty(resource.store)));
    }
    if wait > Duration::from_millis(MAX_TIME) {
        let message = message::time_too_long("wait", resource.store);
        return refused(LockError::MalformedRequest(message));
    }
    let _room = sidecar.room_for_hold().map_err(HoldError::TooMany)?;
    let lost = tokio::select! {
        lost = sidecar.locks().await_loss(resource, owner, wait) => lost.map_err(HoldError::Locks)?,
        () = sidecar.ending().cancelled() => None,
    };
    Ok(match lost {
        None => Status::Held,
        Some(Lost::HeldByOther) => Status::LockBelongsToOthers,
        Some(_) => Status::LockDoesNotExist,
    })
}

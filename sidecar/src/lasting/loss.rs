//! Waiting until a lock is lost, for an owner who renews it over one of the APIs.

use std::time::Duration;

use holdfast::{Lost, Resource};
use holdfast_proto::leases::await_loss_response::Status;
use holdfast_rules::lasting::check_await_loss;
use holdfast_timing::whole_milliseconds;

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
    let store = sidecar.store(resource.store);
    let longest = whole_milliseconds(wait);
    check_await_loss(store, resource.id, !owner.is_empty(), longest).map_err(HoldError::refused)?;
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

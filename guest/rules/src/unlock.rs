//! unlock: frees a lock if the owner holds it.

use crate::{
    check,
    scope::Choice,
    types::{Error, ReleaseStep, Released, UnlockStatus, Verb},
};

/// Checks an unlock.
///
/// `has_owner` is whether the lock owner is not empty. The step names no owner: the caller of this function has it.
///
/// # Errors
///
/// The first check that fails, in this order (Dapr 1.18, `pkg/api/universal/lock.go`): a store is
/// configured, the resource id is not empty, the owner is not empty, the store exists, the resource id
/// does not contain `||`.
pub fn begin(store: Choice<'_>, resource_id: &str, has_owner: bool) -> Result<ReleaseStep, Error> {
    let key = check::key(Verb::Unlock, store, resource_id, has_owner)?;
    Ok(ReleaseStep { key, owner: None })
}

/// The verdict.
pub fn end(released: Released) -> UnlockStatus {
    match released {
        Released::Released => UnlockStatus::Success,
        Released::Missing => UnlockStatus::LockDoesNotExist,
        Released::HeldByOther => UnlockStatus::LockBelongsToOthers,
    }
}

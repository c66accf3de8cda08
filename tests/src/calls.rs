//! Calls on [`Locks`] with arguments in a row, for tables of them.

use std::time::Duration;

use holdfast::{Attempt, Error, Locks, Resource, UnlockStatus};

/// Tries to take a lock: whether it was acquired.
///
/// # Errors
///
/// See [`Locks::try_lock`].
pub async fn take(
    locks: &Locks,
    store: &str,
    id: &str,
    owner: &str,
    seconds: u64,
) -> Result<bool, Error> {
    let attempt = locks.try_lock(Resource { store, id }, owner, Duration::from_secs(seconds)).await;
    attempt.map(Attempt::is_acquired)
}

/// Unlocks.
///
/// # Errors
///
/// See [`Locks::unlock`].
pub async fn free(
    locks: &Locks,
    store: &str,
    id: &str,
    owner: &str,
) -> Result<UnlockStatus, Error> {
    locks.unlock(Resource { store, id }, owner).await
}

//! try-lock: takes a lock if it is free, without waiting.

use crate::{
    MAX_TIME, check, message,
    scope::Choice,
    types::{AcquireStep, Acquired, Error, Verb},
};

/// Checks a try-lock of `ttl` milliseconds.
///
/// `has_owner` is whether the lock owner is not empty. The step names no owner: the caller of this function has it.
///
/// # Errors
///
/// The first check that fails, in this order (Dapr 1.18, `pkg/api/universal/lock.go`): the time to live
/// is positive, a store is configured, the resource id is not empty, the owner is not empty, the store
/// exists, the resource id does not contain `||`. Finally, the time to live is at most [`MAX_TIME`].
pub fn begin(
    store: Choice<'_>,
    resource_id: &str,
    has_owner: bool,
    ttl: u64,
) -> Result<AcquireStep, Error> {
    if ttl == 0 {
        return Err(Error::ExpiryNotPositive(message::expiry_not_positive(store.name())));
    }
    let key = check::key(Verb::TryLock, store, resource_id, has_owner)?;
    if ttl > MAX_TIME {
        return Err(Error::Other(message::expiry_too_long(store.name())));
    }
    Ok(AcquireStep { key, owner: None, ttl, wait: 0, fenced: false })
}

/// The verdict: whether the caller holds the lock.
pub fn end(acquired: Acquired) -> bool {
    matches!(acquired, Acquired::Granted(_))
}

/// A time to live in milliseconds, from the seconds of Dapr's API: 0 if they are not positive, which
/// [`begin`] refuses.
pub fn ttl(expiry_in_seconds: i32) -> u64 {
    u64::try_from(expiry_in_seconds).unwrap_or(0) * 1000
}

//! acquire: takes a lease, and waits for it if the lock is held.

use crate::{
    check,
    scope::Choice,
    types::{AcquireStep, Error, Verb},
};

/// What an acquire asks for, apart from the owner.
#[derive(Clone, Copy, Debug)]
pub struct AcquireTerms {
    /// The time to live in milliseconds.
    pub ttl: u64,
    /// How long to wait, in milliseconds.
    pub wait: u64,
    /// Whether the grant has a fencing token.
    pub fenced: bool,
}

/// Checks an acquire.
///
/// `owner_is_empty` is whether the caller gave an empty lock owner. The step names no owner: the caller of this
/// function has it, or makes one.
///
/// # Errors
///
/// The first check that fails, in the order of a try-lock: the time to live is positive, a store is
/// configured, the resource id is not empty, the owner is not empty, the store exists, the resource id does
/// not contain `||`. Finally, the time to live and the wait are at most [`MAX_TIME`](crate::MAX_TIME).
pub fn begin(
    store: Choice<'_>,
    resource_id: &str,
    owner_is_empty: bool,
    terms: AcquireTerms,
) -> Result<AcquireStep, Error> {
    let AcquireTerms { ttl, wait, fenced } = terms;
    check::ttl_is_positive(store, ttl)?;
    let key = check::key(Verb::Acquire, store, resource_id, !owner_is_empty)?;
    check::is_in_range(store, "ttl", ttl)?;
    check::is_in_range(store, "wait", wait)?;
    Ok(AcquireStep { key, owner: None, ttl, wait, fenced })
}

//! extend: prolongs a lease if the owner holds it.

use crate::{
    check,
    scope::Choice,
    types::{Error, ExtendStep, Verb},
};

/// Checks an extend to `ttl` milliseconds from now.
///
/// `has_owner` is whether the lock owner is not empty. The step names no owner: the caller of this function has it.
///
/// # Errors
///
/// The first check that fails, in the order of a try-lock.
pub fn begin(
    store: Choice<'_>,
    resource_id: &str,
    has_owner: bool,
    ttl: u64,
    may_shorten: bool,
) -> Result<ExtendStep, Error> {
    check::ttl_is_positive(store, ttl)?;
    let key = check::key(Verb::Extend, store, resource_id, has_owner)?;
    check::is_in_range(store, "ttl", ttl)?;
    Ok(ExtendStep { key, owner: None, ttl, may_shorten })
}

//! force-release: frees a lock of any owner.

use crate::{
    check,
    scope::Choice,
    types::{Error, ForceReleaseStep, Verb},
};

/// Checks a release of a lock of any owner.
///
/// # Errors
///
/// The first check that fails, in the order of a try-lock.
pub fn begin(store: Choice<'_>, resource_id: &str) -> Result<ForceReleaseStep, Error> {
    Ok(ForceReleaseStep { key: check::key(Verb::ForceRelease, store, resource_id, true)? })
}

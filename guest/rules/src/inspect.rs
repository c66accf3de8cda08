//! inspect: returns the holder of a lock.

use crate::{
    check,
    scope::Choice,
    types::{Error, InspectStep, Verb},
};

/// Checks an inspect.
///
/// # Errors
///
/// The first check that fails, in the order of a try-lock.
pub fn begin(store: Choice<'_>, resource_id: &str) -> Result<InspectStep, Error> {
    Ok(InspectStep { key: check::key(Verb::Inspect, store, resource_id, true)? })
}

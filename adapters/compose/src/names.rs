//! The names of interfaces. The names here have no version: any version of the parts matches.

pub(crate) const LOCK: &str = "holdfast:lock/lock";
pub(crate) const LEASE: &str = "holdfast:lock/lease";
pub(crate) const JSON: &str = "holdfast:lock/json";
pub(crate) const STORE: &str = "holdfast:lock/store";
const TYPES: &str = "holdfast:lock/types";

/// Finds an interface by its name without the version.
pub(crate) fn find<'n>(names: &'n [String], interface: &str) -> Option<&'n str> {
    names.iter().find(|name| unversioned(name) == interface).map(String::as_str)
}

/// A full name without the version.
pub(crate) fn unversioned(name: &str) -> &str {
    name.split('@').next().unwrap_or(name)
}

/// Whether an interface of the contract has functions. `types` has none, so no part exports it and no runtime provides
/// it.
pub(crate) fn has_calls(name: &str) -> bool {
    name.starts_with("holdfast:lock/") && unversioned(name) != TYPES
}

//! A lock store as the resource files define it.

use std::time::Duration;

use super::source::Source;
use crate::store::properties::Properties;

/// A lock store as a document of kind `Component` defines it, with its settings resolved: all data to open the store
/// and to list it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct StoreDefinition {
    /// `metadata.name`, which is unique.
    pub name: String,
    /// `spec.type` as written. It starts with `lock.`, and is compared without case. Holdfast may have no store of this
    /// type.
    pub component_type: String,
    /// `spec.version` as written: empty, `v0` or `v1` in either case.
    pub version: String,
    /// `spec.metadata`, resolved.
    pub properties: Properties,
    /// Whether a store that cannot be opened is left out. Otherwise it prevents the start.
    pub ignore_errors: bool,
    /// How long opening the store may take; above zero.
    pub init_timeout: Duration,
    /// The document.
    pub source: Source,
    /// The setting with a password that is written as a number or a boolean; `None` without one.
    pub(super) unquoted_password: Option<&'static str>,
    /// The setting for a password whose value is null; `None` without one.
    pub(super) null_password: Option<&'static str>,
}

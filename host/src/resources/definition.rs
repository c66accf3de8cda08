//! A lock store as the resource files define it.

use std::time::Duration;

use super::source::Source;
use crate::store::properties::Properties;

/// A lock store as a document of kind `Component` defines it, with its settings resolved: all that
/// is needed to open it and to list it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct StoreDefinition {
    /// `metadata.name`, which is unique.
    pub name: String,
    /// `spec.type` as it was written. It starts with `lock.`, and is compared without case. There
    /// may be no store of this type.
    pub component_type: String,
    /// `spec.version` as it was written: empty, `v0` or `v1` in either case.
    pub version: String,
    /// `spec.metadata`, resolved.
    pub properties: Properties,
    /// Whether a store that cannot be opened is left out. Otherwise it stops the start.
    pub ignore_errors: bool,
    /// How long opening the store may take; above zero.
    pub init_timeout: Duration,
    /// The document.
    pub source: Source,
    /// The setting with a password that is written as a number or a boolean, if there is one.
    pub(super) unquoted_password: Option<&'static str>,
    /// The setting for a password whose value is null, if there is one.
    pub(super) null_password: Option<&'static str>,
}

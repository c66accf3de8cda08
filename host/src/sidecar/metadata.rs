//! What there is to say of this process.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use serde::Serialize;

/// The version of Dapr whose API this is, which clients compare, and as build metadata, which does
/// not take part in comparisons, our own.
pub(crate) const RUNTIME_VERSION: &str = concat!("1.18.0+holdfast.", env!("CARGO_PKG_VERSION"));

/// A component as the metadata lists it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ComponentInfo {
    /// Its name, which is unique.
    pub name: String,
    /// Its type, as in `lock.redis`.
    #[serde(rename = "type")]
    pub component_type: String,
    /// Its version; may be empty.
    pub version: String,
}

/// What there is to say, and what callers have added to it.
#[derive(Debug)]
pub(crate) struct Metadata {
    app_id: String,
    components: Vec<ComponentInfo>,
    extended: Mutex<BTreeMap<String, String>>,
}

impl Metadata {
    pub(super) fn new(app_id: String, components: Vec<ComponentInfo>) -> Self {
        Self { app_id, components, extended: Mutex::default() }
    }

    pub(crate) fn app_id(&self) -> &str {
        &self.app_id
    }

    pub(crate) fn components(&self) -> &[ComponentInfo] {
        &self.components
    }

    /// What callers have added, and the version.
    pub(crate) fn extended(&self) -> BTreeMap<String, String> {
        let mut extended = self.lock().clone();
        extended.insert("daprRuntimeVersion".to_owned(), RUNTIME_VERSION.to_owned());
        extended
    }

    pub(crate) fn set(&self, key: &str, value: String) {
        self.lock().insert(key.to_owned(), value);
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, String>> {
        // Every change is a single call: a panic elsewhere cannot leave it half done.
        self.extended.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

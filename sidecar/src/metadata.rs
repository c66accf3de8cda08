//! What there is to say of this process.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use holdfast_dapr_api::metadata;

/// A component as the metadata lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ComponentInfo {
    /// Its name, which is unique.
    pub name: String,
    /// Its type, as in `lock.redis`.
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
    pub(crate) fn new(app_id: String, components: Vec<ComponentInfo>) -> Self {
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
        metadata::extended(self.lock().clone())
    }

    pub(crate) fn set(&self, key: &str, value: String) {
        self.lock().insert(key.to_owned(), value);
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, String>> {
        // Every change is a single call: a panic elsewhere cannot leave it half done.
        self.extended.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

//! The metadata of a sidecar.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, OnceLock, PoisonError},
};

use holdfast_dapr_api::metadata;

/// How many entries callers may add.
const MAX_ENTRIES: usize = 128;

/// How many bytes the key and the value of an entry may have together.
const MAX_ENTRY: usize = 16 << 10;

/// The entry that warns about the configuration of the sidecar.
const WARNING: &str = "holdfastWarning";

/// An entry was not added.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotSet {
    #[error("the metadata has {MAX_ENTRIES} added entries already, which is the limit")]
    Full,
    #[error("the key and the value of an entry may have {MAX_ENTRY} bytes together")]
    TooLong,
}

/// A component of Dapr's kind, such as a lock store, as the metadata lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ComponentInfo {
    /// Its name, which is unique.
    pub name: String,
    /// Its type, as in `lock.redis`.
    pub component_type: String,
    /// Its version; may be empty.
    pub version: String,
}

/// The metadata: the description of the sidecar, and the entries that callers have added.
#[derive(Debug)]
pub(crate) struct Metadata {
    app_id: String,
    components: Vec<ComponentInfo>,
    warning: OnceLock<String>,
    added: Mutex<BTreeMap<String, String>>,
}

impl Metadata {
    pub(crate) fn new(app_id: String, components: Vec<ComponentInfo>) -> Self {
        Self { app_id, components, warning: OnceLock::new(), added: Mutex::default() }
    }

    pub(crate) fn app_id(&self) -> &str {
        &self.app_id
    }

    pub(crate) fn components(&self) -> &[ComponentInfo] {
        &self.components
    }

    /// Adds the entry that warns about the configuration of the sidecar. Only the first one counts.
    pub(crate) fn warn(&self, warning: &str) {
        self.warning.get_or_init(|| warning.to_owned());
    }

    /// The entries that callers have added, and those of the sidecar, which no caller replaces.
    pub(crate) fn extended(&self) -> BTreeMap<String, String> {
        let mut entries = self.lock().clone();
        entries.extend(self.warning.get().map(|warning| (WARNING.to_owned(), warning.clone())));
        metadata::extended(entries)
    }

    /// Adds an entry, or replaces the one with this key.
    pub(crate) fn set(&self, key: &str, value: &str) -> Result<(), NotSet> {
        if key.len() + value.len() > MAX_ENTRY {
            return Err(NotSet::TooLong);
        }
        let mut added = self.lock();
        if added.len() >= MAX_ENTRIES && !added.contains_key(key) {
            return Err(NotSet::Full);
        }
        added.insert(key.to_owned(), value.to_owned());
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, String>> {
        // Every change is a single call: a panic elsewhere cannot leave it half done.
        self.added.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

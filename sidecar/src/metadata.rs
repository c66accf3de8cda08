//! The metadata of a sidecar.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;
use holdfast_dapr_api::metadata;

/// How many entries callers may add.
const MAX_ENTRIES: usize = 128;

/// How many bytes the key and the value of an entry may have together.
const MAX_ENTRY: usize = 16 << 10;

/// The largest total size of all added entries, in bytes of JSON. A character may take six bytes.
const MAX_ADDED: usize = 256 << 10;

/// The entry that warns about the configuration of the sidecar.
const WARNING: &str = "holdfastWarning";

/// An entry was not added.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotSet {
    #[error("the metadata has {MAX_ENTRIES} added entries already, which is the limit")]
    Full,
    #[error("the key and the value of an entry may have {MAX_ENTRY} bytes together")]
    TooLong,
    #[error("the added metadata may have {MAX_ADDED} bytes of JSON together")]
    TooMuch,
}

/// A form in which the metadata is sent.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Form {
    Json,
    /// A message of gRPC.
    Message,
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
    entries: Mutex<Entries>,
}

#[derive(Debug, Default)]
struct Entries {
    added: BTreeMap<String, String>,
    /// The bytes of JSON that the added ones have.
    length: usize,
    warning: Option<String>,
    /// The whole metadata in each form, once it was asked for and until an entry changes.
    documents: [Option<Bytes>; 2],
}

impl Metadata {
    pub(crate) fn new(app_id: String, components: Vec<ComponentInfo>) -> Self {
        Self { app_id, components, entries: Mutex::default() }
    }

    pub(crate) fn app_id(&self) -> &str {
        &self.app_id
    }

    pub(crate) fn components(&self) -> &[ComponentInfo] {
        &self.components
    }

    /// Adds the entry that warns about the configuration of the sidecar. Only the first one counts.
    pub(crate) fn warn(&self, warning: &str) {
        let mut entries = self.lock();
        entries.warning.get_or_insert_with(|| warning.to_owned());
        entries.documents = Default::default();
    }

    /// The whole metadata in a form, which all answers share until it changes.
    ///
    /// `encode` gets the entries that callers have added, and those of the sidecar, which no caller replaces. Other
    /// callers wait for it, rather than do the same.
    pub(crate) fn document<E>(
        &self,
        form: Form,
        encode: impl FnOnce(BTreeMap<String, String>) -> Result<Bytes, E>,
    ) -> Result<Bytes, E> {
        let mut entries = self.lock();
        if let Some(known) = &entries.documents[form as usize] {
            return Ok(known.clone());
        }
        let mut all = entries.added.clone();
        all.extend(entries.warning.clone().map(|warning| (WARNING.to_owned(), warning)));
        let document = encode(metadata::extended(all))?;
        entries.documents[form as usize] = Some(document.clone());
        Ok(document)
    }

    /// Adds an entry, or replaces the one with this key.
    pub(crate) fn set(&self, key: &str, value: &str) -> Result<(), NotSet> {
        if key.len() + value.len() > MAX_ENTRY {
            return Err(NotSet::TooLong);
        }
        let mut entries = self.lock();
        if entries.added.len() >= MAX_ENTRIES && !entries.added.contains_key(key) {
            return Err(NotSet::Full);
        }
        let replaced = entries.added.get(key).map_or(0, |value| length(key, value));
        let total = entries.length - replaced + length(key, value);
        if total > MAX_ADDED {
            return Err(NotSet::TooMuch);
        }
        entries.length = total;
        entries.documents = Default::default();
        entries.added.insert(key.to_owned(), value.to_owned());
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, Entries> {
        // Nothing panics between the parts of a change.
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How many bytes of JSON an entry has, with the colon and the comma.
fn length(key: &str, value: &str) -> usize {
    // A string always serializes.
    let text = |text| serde_json::to_string(text).map_or(0, |json| json.len());
    text(key) + text(value) + 2
}

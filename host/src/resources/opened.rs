//! Open stores.

use std::{fmt, sync::Arc};

use holdfast_edge_lock::EdgeLock;

use super::{definition::StoreDefinition, open_error::StoreError};
use crate::{Locks, store::Store};

/// The locks over the stores of resource files.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct OpenedLocks {
    /// The locks.
    pub locks: Locks,
    /// The stores that are open, in the order of the files.
    pub stores: Vec<OpenedStore>,
    /// The locks that requests of a proxy take, in the order of the files.
    pub edge_locks: Vec<EdgeLock>,
}

/// A store that is open, with the data of its definition.
#[derive(Clone)]
#[non_exhaustive]
pub struct OpenedStore {
    /// The name that callers use.
    pub name: String,
    /// The type of the store, as written.
    pub component_type: String,
    /// The version of the store, as written; may be empty.
    pub version: String,
    /// The `keyPrefix` of the store in lower case; `None` for the default.
    pub key_prefix: Option<String>,
    /// Whether the store gives every grant a fencing token: the setting `fencing`.
    pub fencing: bool,
    /// The store, under its policies.
    pub store: Arc<dyn Store>,
}

impl fmt::Debug for OpenedStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpenedStore")
            .field("name", &self.name)
            .field("component_type", &self.component_type)
            .field("version", &self.version)
            .field("key_prefix", &self.key_prefix)
            .field("fencing", &self.fencing)
            .finish_non_exhaustive()
    }
}

/// The result of opening every store of resource files.
#[derive(Debug)]
#[non_exhaustive]
pub struct OpenResults {
    /// One for each store, in the order of the files.
    pub stores: Vec<OpenResult>,
    /// The locks that requests of a proxy take, in the order of the files.
    pub edge_locks: Vec<EdgeLock>,
}

/// The result of opening one store.
#[derive(Debug)]
#[non_exhaustive]
pub struct OpenResult {
    /// The store's definition.
    pub definition: StoreDefinition,
    /// The open store, or why it is not open.
    pub result: Result<OpenedStore, StoreError>,
}

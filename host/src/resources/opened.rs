//! Open stores, and why one is not open.

use std::{fmt, sync::Arc, time::Duration};

use holdfast_edge_lock::EdgeLock;

use super::{definition::StoreDefinition, error::LoadError, source::Source};
use crate::{
    BuildError, Locks,
    store::{Store, properties::SettingError, redis::ConnectError},
};

/// The locks over the stores of resource files.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Opened {
    /// The locks.
    pub locks: Locks,
    /// The stores that are open, in the order of the files.
    pub stores: Vec<OpenStore>,
    /// The locks that requests of a proxy take, in the order of the files.
    pub edge_locks: Vec<EdgeLock>,
}

/// A store that is open, and what its definition says about it.
#[derive(Clone)]
#[non_exhaustive]
pub struct OpenStore {
    /// The name by which callers ask for it.
    pub name: String,
    /// Its type, as it was written.
    pub component_type: String,
    /// Its version, as it was written; may be empty.
    pub version: String,
    /// Its `keyPrefix` in lower case; `None` for the default.
    pub key_prefix: Option<String>,
    /// Whether every grant is numbered: the setting `fencing`.
    pub fencing: bool,
    /// The store, under the policies that apply to it.
    pub store: Arc<dyn Store>,
}

impl fmt::Debug for OpenStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpenStore")
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
pub struct Openings {
    /// One for each store, in the order of the files.
    pub stores: Vec<Opening>,
    /// The locks that requests of a proxy take, in the order of the files.
    pub edge_locks: Vec<EdgeLock>,
}

/// The result of opening one store.
#[derive(Debug)]
#[non_exhaustive]
pub struct Opening {
    /// The store's definition.
    pub definition: StoreDefinition,
    /// The open store, or why it is not open.
    pub result: Result<OpenStore, StoreError>,
}

/// Why there are no locks over the stores of resource files.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The files cannot be used.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// Stores whose definitions do not say `ignoreErrors: true` cannot be opened.
    #[error("{}", join(.0))]
    Stores(
        /// At least one, in the order of the files.
        Vec<StoreError>,
    ),
    /// The locks cannot be built.
    #[error(transparent)]
    Build(#[from] BuildError),
}

/// Why a store is not open, and where it is defined.
#[derive(Debug, thiserror::Error)]
#[error("{source_file}, component {component} ({component_type}): {cause}")]
#[non_exhaustive]
pub struct StoreError {
    /// The document that defines it.
    pub source_file: Source,
    /// Its name.
    pub component: String,
    /// Its type, as it was written.
    pub component_type: String,
    /// The reason; the text of this error ends with it.
    pub cause: OpenCause,
}

/// Why a store cannot be opened. Never contains a secret.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenCause {
    /// No store has that type.
    #[error("unknown lock store type (the types are lock.redis and lock.in-memory)")]
    UnknownType,
    /// A setting cannot be used.
    #[error(transparent)]
    Setting(#[from] SettingError),
    /// The Redis server cannot be used.
    #[error(transparent)]
    Redis(#[from] ConnectError),
    /// The Redis server refused the password, which is written as a number or a boolean.
    #[error(
        "{error} ({setting} is written without quotes, so YAML reads it as a number or a boolean, and may \
         change it: write it in quotes)"
    )]
    UnquotedPassword {
        /// The refusal.
        error: ConnectError,
        /// The setting with the password.
        setting: &'static str,
    },
    /// The Redis server asks for a password, and the setting for it has no value.
    #[error(
        "{error} ({setting} has no value: YAML reads ~, null and nothing as none, so write it in quotes)"
    )]
    MissingPassword {
        /// The refusal.
        error: ConnectError,
        /// The setting for the password.
        setting: &'static str,
    },
    /// The rules refuse a setting: two stores or two applications could share a key. Names the store and the setting.
    #[error("{0}")]
    Refused(String),
    /// It took longer than the `initTimeout` of its definition.
    #[error("not opened within its initTimeout of {limit:?}: {waited_for}")]
    Timeout {
        /// The `initTimeout`.
        limit: Duration,
        /// What was waited for, or what went wrong in the last attempt.
        waited_for: String,
    },
}

fn join(errors: &[StoreError]) -> String {
    let lines: Vec<_> = errors.iter().map(StoreError::to_string).collect();
    lines.join("\n")
}

//! From component files to open stores.
//!
//! Here it is decided which store a component's type means. How a store is opened is its own
//! module's to say.

use std::{sync::Arc, time::Duration};

use crate::{
    resources::{Component, Source},
    store::{
        Store,
        memory::MemoryStore,
        properties::SettingError,
        redis::{ConnectError, RedisSettings, RedisStore},
    },
};

/// A store that is open, and how callers are to know it.
#[derive(Clone)]
pub struct OpenStore {
    /// The name by which callers ask for it.
    pub name: String,
    /// Its type, as it was written.
    pub component_type: String,
    /// Its version, as it was written; may be empty.
    pub version: String,
    /// Its `keyPrefix` in lower case; empty for the default.
    pub key_prefix: String,
    /// The store.
    pub store: Arc<dyn Store>,
}

/// Why a component's store is not open, and where the component is.
#[derive(Debug, thiserror::Error)]
#[error("{source_file}, component {component} ({component_type}): {cause}")]
pub struct OpenError {
    /// Where the component was read.
    pub source_file: Source,
    /// Its name.
    pub component: String,
    /// Its type, as it was written.
    pub component_type: String,
    /// Why; the error's own text ends with it.
    pub cause: OpenCause,
}

/// Why a store cannot be opened. Never contains a secret.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenCause {
    /// There is no store of that type.
    #[error("there is no lock store of this type (there are lock.redis and lock.in-memory)")]
    UnknownType,
    /// A setting cannot be used.
    #[error(transparent)]
    Setting(#[from] SettingError),
    /// The Redis server cannot be used.
    #[error(transparent)]
    Redis(#[from] ConnectError),
    /// It took longer than the component's `initTimeout`.
    #[error("not open within its initTimeout of {0:?}")]
    Timeout(Duration),
}

/// The store that there is when no component files are given: `lockstore`, in memory.
pub fn default_store() -> OpenStore {
    OpenStore {
        name: "lockstore".to_owned(),
        component_type: "lock.in-memory".to_owned(),
        version: "v1".to_owned(),
        key_prefix: String::new(),
        store: Arc::new(MemoryStore::new()),
    }
}

/// Opens a component's store, within its `initTimeout`.
///
/// Must be called in a Tokio runtime with time and I/O enabled. Whether an error is to be ignored,
/// as `ignoreErrors` asks, is the caller's to decide.
///
/// # Errors
///
/// See [`OpenCause`].
pub async fn open(component: &Component) -> Result<OpenStore, OpenError> {
    let opening = tokio::time::timeout(component.init_timeout, open_by_type(component));
    let opened = opening.await.unwrap_or(Err(OpenCause::Timeout(component.init_timeout)));
    let store = opened.map_err(|cause| OpenError {
        source_file: component.source.clone(),
        component: component.name.clone(),
        component_type: component.component_type.clone(),
        cause,
    })?;
    let key_prefix = component.properties.get("keyPrefix").unwrap_or_default();
    Ok(OpenStore {
        name: component.name.clone(),
        component_type: component.component_type.clone(),
        version: component.version.clone(),
        key_prefix: key_prefix.to_lowercase(),
        store,
    })
}

async fn open_by_type(component: &Component) -> Result<Arc<dyn Store>, OpenCause> {
    match component.component_type.to_lowercase().as_str() {
        "lock.redis" => {
            let settings = RedisSettings::parse(&component.properties)?;
            Ok(Arc::new(RedisStore::connect(&component.name, settings).await?))
        }
        "lock.in-memory" => Ok(Arc::new(MemoryStore::new())),
        _ => Err(OpenCause::UnknownType),
    }
}

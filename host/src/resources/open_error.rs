//! Why a store, or all stores of the files, cannot be opened.

use std::time::Duration;

use super::{error::LoadError, source::Source};
use crate::{
    BuildError,
    store::{properties::SettingError, redis::ConnectError},
};

/// Why locks over the stores of resource files cannot be built.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The files cannot be used.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// Stores whose definitions have no `ignoreErrors: true` cannot be opened.
    #[error("{}", join(.0))]
    Stores(
        /// The stores that cannot be opened, at least one, in the order of the files.
        Vec<StoreError>,
    ),
    /// The locks cannot be built.
    #[error(transparent)]
    Build(#[from] BuildError),
}

/// Why a store is not open, and the place of its definition.
#[derive(Debug, thiserror::Error)]
#[error("{source_file}, component {component} ({component_type}): {cause}")]
#[non_exhaustive]
pub struct StoreError {
    /// The document that defines the store.
    pub source_file: Source,
    /// The name of the store.
    pub component: String,
    /// The type of the store, as written.
    pub component_type: String,
    /// The reason; the text of this error ends with it.
    pub cause: OpenCause,
}

/// Why a store cannot be opened. Never contains a secret.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenCause {
    /// Holdfast has no store of that type.
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
    /// The rules refuse a setting, because two stores or two applications could share a key. The text names the store
    /// and the setting.
    #[error("{0}")]
    Refused(String),
    /// Opening the store took longer than the `initTimeout` of its definition.
    #[error("not opened within its initTimeout of {limit:?}: {waited_for}")]
    Timeout {
        /// The `initTimeout`.
        limit: Duration,
        /// The step that did not end, or the error of the last attempt.
        waited_for: String,
    },
}

fn join(errors: &[StoreError]) -> String {
    let lines: Vec<_> = errors.iter().map(StoreError::to_string).collect();
    lines.join("\n")
}

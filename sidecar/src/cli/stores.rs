//! From the arguments to locks.

use std::{env, path::PathBuf};

use anyhow::{Error, Result, anyhow};
use holdfast::{
    Limits,
    resources::{self, LoadError, OpenError, OpenedLocks, OpenedStore, Options},
};

use super::arguments::Stores;

/// The options with which the resource files are read.
pub fn options(stores: &Stores, limits: Limits) -> Options {
    Options::new(stores.folders()).app_id(&stores.app_id).limits(limits)
}

/// Locks over the stores that the resource files define, or over one store in memory without a folder.
pub async fn try_open(stores: &Stores, options: &Options) -> Result<OpenedLocks, OpenError> {
    if stores.folders().is_empty() {
        Ok(resources::in_memory(options)?)
    } else {
        resources::open(options).await
    }
}

/// As [`try_open`], with an error for people.
pub async fn open(stores: &Stores, options: &Options) -> Result<OpenedLocks> {
    try_open(stores, options).await.map_err(|error| explained(stores, &error))
}

/// The options for a command that makes one call at a time, in one store if it is known.
pub fn options_of_one(stores: &Stores, only: Option<&str>) -> Options {
    let mut limits = Limits::default();
    limits.warm_instances = 1;
    let options = options(stores, limits);
    match only {
        Some(store) => options.only_store(store),
        None => options,
    }
}

/// The error for people, who know a folder by the option that names it.
pub fn explained(stores: &Stores, error: &OpenError) -> Error {
    // The text contains the cause, which `anyhow` would repeat.
    match error {
        OpenError::Load(LoadError::Folder { .. } | LoadError::SameFolder { .. }) => {
            anyhow!("{}: {error}", stores.option())
        }
        _ => anyhow!("{error}"),
    }
}

/// The warning about a store that keeps its locks in memory; `None` for any other store.
pub fn in_memory_warning(store: &OpenedStore) -> Option<String> {
    store.component_type.eq_ignore_ascii_case("lock.in-memory").then(|| {
        format!(
            "the locks of the store {} are in the memory of this process: two instances do not exclude \
             each other, and a restart forgets every lock",
            store.name
        )
    })
}

/// The folder in which Dapr's guide says to save component files, if it exists.
pub fn daprs_folder() -> Option<PathBuf> {
    let folder = PathBuf::from(env::var_os("HOME")?).join(".dapr/components");
    folder.is_dir().then_some(folder)
}

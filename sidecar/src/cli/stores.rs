//! From the arguments to locks.

use anyhow::{Result, anyhow};
use holdfast::{
    Limits,
    resources::{self, Opened, Options},
};

use super::arguments::Stores;

/// The options with which the resource files are read.
pub fn options(stores: &Stores, limits: Limits) -> Options {
    Options::new(&stores.resources_path).app_id(&stores.app_id).limits(limits)
}

/// Locks over the stores that the resource files define, or over one store in memory without a folder.
pub async fn open(stores: &Stores, limits: Limits) -> Result<Opened> {
    let options = options(stores, limits);
    let opened = if stores.resources_path.is_empty() {
        resources::in_memory(&options).map_err(resources::OpenError::from)
    } else {
        resources::open(&options).await
    };
    // The text contains the cause, which `anyhow` would repeat.
    opened.map_err(|error| anyhow!("{error}"))
}

//! From the arguments to locks over the stores that they name.

use anyhow::{Result, anyhow};
use holdfast::{
    Limits,
    resources::{self, Opened, Options},
};

use super::arguments::Stores;

/// What the resource files are read with.
pub fn options(stores: &Stores, limits: Limits) -> Options {
    Options::new(&stores.resources_path).app_id(&stores.app_id).limits(limits)
}

/// Locks over the stores of the resource files; without a folder of them, over one store in memory.
pub async fn open(stores: &Stores, limits: Limits) -> Result<Opened> {
    let options = options(stores, limits);
    let opened = if stores.resources_path.is_empty() {
        resources::in_memory(&options).map_err(resources::OpenError::from)
    } else {
        resources::open(&options).await
    };
    // Its text is complete: the cause would be said twice.
    opened.map_err(|error| anyhow!("{error}"))
}

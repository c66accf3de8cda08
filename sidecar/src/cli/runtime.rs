//! The runtime of a command that makes few requests.

use anyhow::{Context, Result};
use tokio::runtime::{Builder, Runtime};

/// A runtime on this thread alone.
pub fn runtime() -> Result<Runtime> {
    Builder::new_current_thread().enable_all().build().context("cannot start the runtime")
}

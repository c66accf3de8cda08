//! `cargo xtask wit`: the WIT that plugins are built with.

use anyhow::Result;
use holdfast_wasm_build::workspace;

use crate::programs::plugin_wit;

/// Gathers the WIT below `target/`, and prints the directory.
pub fn wit() -> Result<()> {
    let wit = plugin_wit::gather(&workspace::root()?)?;
    println!("{}", wit.display());
    Ok(())
}

//! `cargo xtask components`: the components for runtimes other than ours.

use std::path::PathBuf;

use anyhow::Result;
use holdfast_wasm_build::workspace;

use crate::{cargo::cargo, commands::setup::setup, process::run};

/// Writes the components into `target/components`, and returns that directory.
pub fn components() -> Result<PathBuf> {
    setup()?;
    let directory = workspace::root()?.join("target/components");
    let write = ["run", "--quiet", "--package", "holdfast-compositions", "--"];
    run(cargo()?.args(write).arg(&directory))?;
    Ok(directory)
}

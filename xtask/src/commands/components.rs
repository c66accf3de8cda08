//! `cargo xtask components`: the components for runtimes other than ours.

use std::path::PathBuf;

use anyhow::Result;
use holdfast_wasm_build::workspace;

use crate::{cargo::cargo, commands::setup::setup, process::run, progress::step};

/// Writes the components into `target/components`, and returns that directory.
pub fn components() -> Result<PathBuf> {
    write("target/components", &[])
}

/// Writes the components that those are made of into `target/parts`, and returns that directory.
pub fn parts() -> Result<PathBuf> {
    write("target/parts", &["--parts"])
}

fn write(directory: &str, options: &[&str]) -> Result<PathBuf> {
    setup()?;
    let directory = workspace::root()?.join(directory);
    let write = ["run", "--package", "holdfast-compositions", "--"];
    step(&format!("writing components into {}", directory.display()), || {
        run(cargo()?.args(write).args(options).arg(&directory))
    })?;
    Ok(directory)
}

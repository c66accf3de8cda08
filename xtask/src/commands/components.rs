//! `cargo xtask components`: the components for runtimes other than ours, and the filter for proxies.

use std::path::PathBuf;

use anyhow::Result;
use holdfast_wasm_build::workspace;

use crate::{
    cargo::{cargo, target_dir},
    commands::setup::setup,
    files,
    process::run,
    progress::step,
};

/// Writes the components and the filter into `target/components`, and returns that directory.
pub fn components() -> Result<PathBuf> {
    let directory = write("target/components", &[])?;
    step("building the filter", || {
        let built = holdfast_wasm_build::module_into("holdfast-filter", &target_dir()?)?;
        files::copy_file(&built, &directory.join("holdfast-filter.wasm"))
    })?;
    Ok(directory)
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

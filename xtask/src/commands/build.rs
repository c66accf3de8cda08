//! `cargo xtask build`: the binary, with the lock component inside.

use anyhow::Result;

use crate::{cargo::cargo, commands::setup::setup, process::run};

/// Builds the binary `holdfast` in release mode.
pub fn build() -> Result<()> {
    setup()?;
    run(cargo()?.args(["build", "--release", "--package", "holdfast-sidecar"]))
}

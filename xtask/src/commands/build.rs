//! `cargo xtask build`: the binary, with the lock component inside.

use anyhow::Result;

use crate::{
    cargo::{cargo, release_dir},
    commands::setup::setup,
    process::run,
    progress::step,
};

/// Builds the binary `holdfast` in release mode.
pub fn build() -> Result<()> {
    setup()?;
    let binary = release_dir()?.join("holdfast");
    let first = if binary.exists() { "" } else { " (the first time takes about 10 minutes)" };
    step(&format!("building {}{first}", binary.display()), || {
        run(cargo()?.args(["build", "--release", "--package", "holdfast-sidecar"]))
    })
}

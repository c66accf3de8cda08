//! `cargo xtask layers`: whether arrows between files, folders and packages point down only.

use anyhow::Result;

use crate::{cargo::cargo, process::run};

/// Runs the tool in `xtask/layers/`, which prints the violations of the rules.
pub fn layers() -> Result<()> {
    let tool = ["run", "--quiet", "--package", "holdfast-layers", "--"];
    run(cargo()?.args(tool).args([".", "xtask/publish"]))
}

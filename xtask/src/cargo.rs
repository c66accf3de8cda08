//! The cargo that runs this program, and the directories it builds into.

use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result};
use holdfast_wasm_build::workspace;
use serde_json::Value;

use crate::process::output;

/// The cargo that runs this program, to be started in the root of the workspace.
pub fn cargo() -> Result<Command> {
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(workspace::root()?);
    // `cargo run` sets these for this program. Some build scripts watch them, and would run again
    // whenever a plain cargo command follows one of these.
    for (name, _) in env::vars_os() {
        let ours = ["CARGO_MANIFEST_", "CARGO_PKG_"];
        if name.to_str().is_some_and(|name| ours.iter().any(|prefix| name.starts_with(prefix))) {
            cargo.env_remove(name);
        }
    }
    Ok(cargo)
}

/// The target directory that this program was built into.
pub fn target_dir() -> Result<PathBuf> {
    let this = env::current_exe().context("cannot find the running xtask")?;
    let target_dir = this.ancestors().nth(2).context("xtask is not in a target directory")?;
    Ok(target_dir.to_owned())
}

/// Where release builds of the workspace's programs are.
pub fn release_dir() -> Result<PathBuf> {
    Ok(target_dir()?.join("release"))
}

/// The directory with the sources of a package that the workspace depends on.
pub fn package_dir(package: &str) -> Result<PathBuf> {
    let metadata = output(cargo()?.args(["metadata", "--locked", "--format-version=1"]))?;
    let metadata: Value = serde_json::from_str(&metadata).context("cargo's metadata")?;
    let packages = metadata["packages"].as_array().into_iter().flatten();
    let mut manifests = packages
        .filter(|found| found["name"] == package)
        .filter_map(|found| Path::new(found["manifest_path"].as_str()?).parent());
    let directory = manifests.next().map(Path::to_path_buf);
    directory.with_context(|| format!("the workspace does not depend on {package}"))
}

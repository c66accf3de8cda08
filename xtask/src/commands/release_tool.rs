//! Runs `xtask/publish/`, the tool that packages and publishes. It is a workspace of its own, and is built
//! only for these commands.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::Result;

use crate::{
    cargo::{cargo, target_dir},
    process::run,
};

const MANIFEST: &str = "xtask/publish/Cargo.toml";

/// Writes `dist/` from the built components, and from the other files of the release.
pub fn package(components: &Path, files: &[PathBuf]) -> Result<()> {
    let package = ["package", "--root", ".", "--dist", "dist", "--components"];
    run(tool(&["run"])?.arg("--").args(package).arg(components).args(files))
}

/// Puts `dist/` into a registry.
pub fn publish(registry: &str, insecure: bool) -> Result<()> {
    let publish = ["publish", "--dist", "dist", "--registry", registry];
    let insecure = insecure.then_some("--insecure");
    run(tool(&["run"])?.arg("--").args(publish).args(insecure))
}

/// Runs the tool's tests. They read the components below `target/`.
pub fn test(servers: &[(String, PathBuf)]) -> Result<()> {
    run(tool(&["test"])?.envs(servers.iter().cloned()))
}

/// Checks the tool's format, lints and documentation.
pub fn check() -> Result<()> {
    run(cargo()?.args(["fmt", "--check", "--manifest-path", MANIFEST]))?;
    run(tool(&["clippy", "--all-targets"])?.args(["--", "-Dwarnings"]))?;
    run(tool(&["doc", "--no-deps"])?.env("RUSTDOCFLAGS", "-Dwarnings"))
}

/// A cargo command in the tool's workspace, with this workspace's target directory.
fn tool(command: &[&str]) -> Result<Command> {
    let mut cargo = cargo()?;
    cargo.args(command).args(["--locked", "--manifest-path", MANIFEST]);
    cargo.arg("--target-dir").arg(target_dir()?);
    Ok(cargo)
}

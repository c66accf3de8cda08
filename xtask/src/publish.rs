//! The commands that end in a release. `xtask/publish/`, a workspace of its own, packages and publishes the
//! components.

use std::{path::PathBuf, process::Command};

use anyhow::Result;

use crate::{
    commands::{self, target_dir},
    run::{cargo, run},
};

/// Writes `dist/`.
pub fn package() -> Result<()> {
    let components = commands::components()?;
    let package = ["package", "--root", ".", "--dist", "dist", "--components"];
    run(publish(&["run", "--quiet"])?.arg("--").args(package).arg(components))
}

/// Writes `dist/` and puts it into a registry.
pub fn publish_to(registry: &str, insecure: bool) -> Result<()> {
    package()?;
    let publish_dist = ["publish", "--dist", "dist", "--registry", registry];
    let insecure = insecure.then_some("--insecure");
    run(publish(&["run", "--quiet"])?.arg("--").args(publish_dist).args(insecure))
}

/// Tests what the other two do.
pub fn test(servers: &[(String, PathBuf)]) -> Result<()> {
    commands::components()?;
    run(publish(&["test"])?.envs(servers.iter().cloned()))
}

/// Its format, lints and documentation.
pub fn check() -> Result<()> {
    let manifest = ["fmt", "--check", "--manifest-path", MANIFEST];
    run(cargo()?.args(manifest))?;
    run(publish(&["clippy", "--all-targets"])?.args(["--", "-Dwarnings"]))?;
    run(publish(&["doc", "--no-deps"])?.env("RUSTDOCFLAGS", "-Dwarnings"))
}

const MANIFEST: &str = "xtask/publish/Cargo.toml";

/// A command of cargo for that workspace, which shares our target directory.
fn publish(command: &[&str]) -> Result<Command> {
    let mut cargo = cargo()?;
    cargo.args(command).args(["--locked", "--manifest-path", MANIFEST]);
    cargo.arg("--target-dir").arg(target_dir()?);
    Ok(cargo)
}

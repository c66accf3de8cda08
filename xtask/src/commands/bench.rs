//! `cargo xtask bench`: measures, with the driver in `tests/bench/`.

use std::{ffi::OsString, process::Command};

use anyhow::Result;
use holdfast_wasm_build::workspace;

use crate::{
    cargo::{cargo, release_dir},
    commands::setup::setup,
    needs::redis,
    process::run,
    programs::SERVERS,
};

/// Builds the driver in release mode and runs it with `args`.
pub fn bench(args: Vec<OsString>) -> Result<()> {
    setup()?;
    let root = workspace::root()?;
    let redis_server = redis::server(&root)?;
    let proxies = SERVERS.prepare_only(&root, "envoy")?;
    // The driver also measures how fast the binary `holdfast` starts.
    let packages = ["--package", "holdfast-sidecar", "--package", "holdfast-bench"];
    run(cargo()?.args(["build", "--release"]).args(packages))?;
    let bench = release_dir()?.join("holdfast-bench");
    run(Command::new(bench).args(args).env(redis::SERVER, redis_server).envs(proxies))
}

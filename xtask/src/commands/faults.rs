//! `cargo xtask faults`: breaks servers, networks, processes and clocks, with the driver in `tests/faults/`.

use std::{ffi::OsString, process::Command};

use anyhow::Result;
use holdfast_wasm_build::workspace;

use crate::{
    cargo::{cargo, release_dir},
    commands::setup::setup,
    needs::redis,
    process::run,
    programs::CLOCKS,
};

/// Builds the driver in release mode and runs it for `hours`, with `args`.
pub fn faults(hours: Option<f64>, args: Vec<OsString>) -> Result<()> {
    setup()?;
    let root = workspace::root()?;
    let redis_server = redis::server(&root)?;
    let clocks = CLOCKS.prepare(&root)?;
    run(cargo()?.args(["build", "--release", "--package", "holdfast-faults"]))?;
    let mut driver = Command::new(release_dir()?.join("holdfast-faults"));
    if let Some(hours) = hours {
        driver.args(["--hours", &hours.to_string()]);
    }
    run(driver.args(args).envs(clocks).env(redis::SERVER, redis_server))
}

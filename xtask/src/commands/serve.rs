//! `cargo xtask serve`: `holdfast serve`, built first.

use std::{ffi::OsString, os::unix::process::CommandExt, process::Command};

use anyhow::{Result, anyhow};

use crate::{cargo::release_dir, commands::build::build};

/// Builds the binary and becomes `holdfast serve`, with `args` after it.
pub fn serve(args: Vec<OsString>) -> Result<()> {
    build()?;
    let holdfast = release_dir()?.join("holdfast");
    // As a child it would not receive the signals that this process is sent.
    let error = Command::new(&holdfast).arg("serve").args(args).exec();
    Err(anyhow!("cannot run {}: {error}", holdfast.display()))
}

//! The redis-server that the tests start: the one on `PATH`, or Debian's below `target/`.

use std::{
    env, fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, anyhow, bail};
use holdfast_wasm_build::library_dirs;

use crate::{debian, files, run::which};

/// Names the server to the tests; whoever sets it himself chooses it.
pub const SERVER: &str = "HOLDFAST_REDIS_SERVER";

/// Where the server is, fetched first if need be.
pub fn server(root: &Path) -> Result<PathBuf> {
    if let Some(chosen) = env::var_os(SERVER).filter(|chosen| !chosen.is_empty()) {
        return existing(chosen.into());
    }
    if let Some(server) = which("redis-server") {
        return Ok(server);
    }
    let unpacked = root.join("target/redis");
    debian::unpack(&unpacked, || Ok(vec!["redis-server".into()])).map_err(|error| {
        anyhow!(
            "redis-server is missing: run `apt-get install redis-server`. Tried here: {error:#}"
        )
    })?;
    launcher(&unpacked)
}

fn existing(chosen: PathBuf) -> Result<PathBuf> {
    if !chosen.is_file() {
        bail!("{SERVER} is {}, where there is no file", chosen.display());
    }
    Ok(chosen)
}

/// A script that starts the unpacked server with its own libraries, so that they are nobody else's.
fn launcher(unpacked: &Path) -> Result<PathBuf> {
    let launcher = unpacked.join("redis-server");
    let libraries = env::join_paths(library_dirs(unpacked))?;
    let script = format!(
        "#!/bin/sh\nLD_LIBRARY_PATH='{}' exec '{}' \"$@\"\n",
        libraries.display(),
        unpacked.join("usr/bin/redis-server").display(),
    );
    files::write(&launcher, &script)?;
    fs::set_permissions(&launcher, fs::Permissions::from_mode(0o755))
        .with_context(|| format!("cannot make {} executable", launcher.display()))?;
    Ok(launcher)
}

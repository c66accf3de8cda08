//! The redis-server that tests start: the one on `PATH`, or Debian's below `target/`.

use std::{
    env,
    path::{Path, PathBuf},
};

use anyhow::{Result, anyhow, bail};

use crate::{needs::debian, process::which};

/// The variable with the place of the server, for tests. If the user has set it, that server is used.
pub const SERVER: &str = "HOLDFAST_REDIS_SERVER";

/// The path of the server; fetches it if it is missing.
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
    let launcher = unpacked.join("redis-server");
    debian::launcher(&unpacked, "usr/bin/redis-server", &launcher)?;
    Ok(launcher)
}

fn existing(chosen: PathBuf) -> Result<PathBuf> {
    if !chosen.is_file() {
        bail!("{SERVER} is {}, which is not a file", chosen.display());
    }
    Ok(chosen)
}

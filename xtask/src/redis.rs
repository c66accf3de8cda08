//! The redis-server that the tests start: the one on `PATH`, or Debian's below `target/`.

use std::{
    env,
    path::{Path, PathBuf},
};

use anyhow::{Result, anyhow, bail};

use crate::{debian, run::which};

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
    let launcher = unpacked.join("redis-server");
    debian::launcher(&unpacked, "usr/bin/redis-server", &launcher)?;
    Ok(launcher)
}

fn existing(chosen: PathBuf) -> Result<PathBuf> {
    if !chosen.is_file() {
        bail!("{SERVER} is {}, where there is no file", chosen.display());
    }
    Ok(chosen)
}

//! The contract as a binary, built by the library that `wkg wit build` is.

use std::path::Path;

use anyhow::{Context, Result, bail};
use wasm_pkg_client::caching::{CachingClient, FileCache};
use wasm_pkg_core::{lock::LockFile, manifest::Manifest, wit};

/// The package in a registry.
pub const PACKAGE: &str = "holdfast:lock";

/// The file's name and content. `scratch` is a directory for what the library keeps besides.
pub async fn build(
    manifest: &Manifest,
    wit_dir: &Path,
    scratch: &Path,
) -> Result<(String, Vec<u8>)> {
    let mut lock = LockFile::new_with_path([], scratch.join("wkg.lock")).await?;
    // Without a client: the contract depends on nothing.
    let client = CachingClient::new(None, FileCache::new(scratch.join("cache")).await?);
    let built = wit::build_package(manifest, wit_dir, &mut lock, client).await;
    let (package, version, wasm) =
        built.with_context(|| format!("cannot build {}", wit_dir.display()))?;
    match version {
        Some(version) if package.to_string() == PACKAGE => {
            Ok((format!("{package}@{version}.wasm"), wasm))
        }
        _ => bail!("{} has no version, or is not {PACKAGE}", wit_dir.display()),
    }
}

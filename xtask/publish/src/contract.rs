//! The contract as a binary WIT package, built with the library behind `wkg wit build`.

use std::path::Path;

use anyhow::{Context, Result, bail};
use wasm_pkg_client::caching::{CachingClient, FileCache};
use wasm_pkg_core::{lock::LockFile, manifest::Manifest, wit};

/// The package in the registry.
pub const PACKAGE: &str = "holdfast:lock";

/// Builds the file, and returns its name and content. The library keeps other files in `scratch`.
pub async fn build(
    manifest: &Manifest,
    wit_dir: &Path,
    scratch: &Path,
) -> Result<(String, Vec<u8>)> {
    let mut lock = LockFile::new_with_path([], scratch.join("wkg.lock")).await?;
    // The contract has no dependencies, so no client is needed.
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

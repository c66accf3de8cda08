//! The packages that are published as crates, as `.crate` files.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde_json::Value;

use crate::{
    cargo::{cargo, target_dir},
    files,
    process::{output, run},
};

/// The lock component in its published package, where a build has no source of it. Git ignores the file.
const PACKAGED_COMPONENT: &str = "host/component/holdfast-guest.wasm";

/// A published package.
pub struct Published {
    pub name: String,
    pub version: String,
}

impl Published {
    /// The name of its file without `.crate`, and of the directory in it.
    pub fn stem(&self) -> String {
        format!("{}-{}", self.name, self.version)
    }
}

/// The packages of the workspace that are published.
pub fn published() -> Result<Vec<Published>> {
    let metadata = ["metadata", "--no-deps", "--locked", "--format-version=1"];
    let metadata = output(cargo()?.args(metadata))?;
    let metadata: Value = serde_json::from_str(&metadata).context("cargo's metadata")?;
    let packages = metadata["packages"].as_array().into_iter().flatten();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    Ok(packages
        // An empty list where `publish` is false.
        .filter(|package| package["publish"].is_null())
        .map(|package| Published {
            name: text(&package["name"]),
            version: text(&package["version"]),
        })
        .collect())
}

/// Writes a `.crate` file for each published package, and returns the files. `lock_component` is the built
/// component, which goes into its package.
pub fn write(root: &Path, lock_component: &Path) -> Result<Vec<PathBuf>> {
    files::copy_file(lock_component, &root.join(PACKAGED_COMPONENT))?;
    let published = published()?;
    let mut package = cargo()?;
    // The component is a file that git does not have. Nothing is built: `cargo xtask embed` builds more.
    package.args(["package", "--quiet", "--locked", "--no-verify", "--allow-dirty"]);
    package.args(published.iter().flat_map(|package| ["--package", &package.name]));
    run(&mut package)?;
    let folder = target_dir()?.join("package");
    let file = |package: &Published| folder.join(package.stem()).with_added_extension("crate");
    Ok(published.iter().map(file).collect())
}

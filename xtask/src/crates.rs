//! The packages that are published as crates, as `.crate` files.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::Result;
use serde::Deserialize;

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
    /// The `.crate` file.
    pub file: PathBuf,
    /// The directory with the unpacked file.
    pub unpacked: PathBuf,
}

/// Packages each published package of the workspace. `lock_component` is the built component, which goes
/// into its package.
pub fn package(root: &Path, lock_component: &Path) -> Result<Vec<Published>> {
    files::copy_file(lock_component, &root.join(PACKAGED_COMPONENT))?;
    let published = published()?;
    let mut package = cargo()?;
    // The component is a file that git does not have. `cargo xtask embed` builds the packages.
    package.args(["package", "--quiet", "--locked", "--no-verify", "--allow-dirty"]);
    package.args(published.iter().flat_map(|package| ["--package", &package.name]));
    run(&mut package)?;
    for package in &published {
        files::remove(&package.unpacked)?;
        let mut tar = Command::new("tar");
        tar.arg("--extract").arg("--file").arg(&package.file);
        run(tar.current_dir(package.file.with_file_name("")))?;
        check(package, root, lock_component)?;
    }
    Ok(published)
}

fn published() -> Result<Vec<Published>> {
    let metadata = ["metadata", "--no-deps", "--locked", "--format-version=1"];
    let metadata: Metadata = serde_json::from_str(&output(cargo()?.args(metadata))?)?;
    let directory = target_dir()?.join("package");
    let packages = metadata.packages.into_iter().filter(|package| package.publish.is_none());
    Ok(packages
        .map(|MetadataPackage { name, version, .. }| {
            let unpacked = directory.join(format!("{name}-{version}"));
            Published { name, file: unpacked.with_added_extension("crate"), unpacked }
        })
        .collect())
}

/// Checks what no build would find: that the contract and the lock component in a package are the right ones.
fn check(package: &Published, root: &Path, lock_component: &Path) -> Result<()> {
    for (name, original) in [("wit", &*root.join("wit")), ("holdfast-guest.wasm", lock_component)] {
        let packaged = package.unpacked.join(name);
        if packaged.exists() {
            run(Command::new("diff").arg("--recursive").arg(packaged).arg(original))?;
        }
    }
    Ok(())
}

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<MetadataPackage>,
}

#[derive(Deserialize)]
struct MetadataPackage {
    name: String,
    version: String,
    /// Where it may be published: an empty list for nowhere, none for anywhere.
    publish: Option<Vec<String>>,
}

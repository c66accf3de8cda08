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

/// The published packages that carry built components, because they have no source of them, and the files.
/// Git ignores these.
const CARRIED: [(&str, &[&str]); 2] = [
    ("holdfast-component", &["holdfast-guest.wasm"]),
    (
        "holdfast-compositions",
        &[
            "holdfast-guest.wasm",
            "holdfast-redis-store.wasm",
            "holdfast-dapr-http.wasm",
            "holdfast-cli.wasm",
        ],
    ),
];

/// A published package.
pub struct Published {
    pub name: String,
    /// The directory of its source.
    directory: PathBuf,
    /// The `.crate` file.
    pub file: PathBuf,
    /// The directory with the unpacked file.
    pub unpacked: PathBuf,
}

/// Packages each published package of the workspace. `parts` is the directory with the built components that
/// go into packages.
pub fn package(root: &Path, parts: &Path) -> Result<Vec<Published>> {
    let published = published()?;
    for package in &published {
        for name in package.carried() {
            files::copy_file(&parts.join(name), &package.directory.join(name))?;
        }
    }
    let mut package = cargo()?;
    // The components are files that git does not have. `cargo xtask embed` builds the packages.
    package.args(["package", "--quiet", "--locked", "--no-verify", "--allow-dirty"]);
    package.args(published.iter().flat_map(|package| ["--package", &package.name]));
    run(&mut package)?;
    for package in &published {
        files::remove(&package.unpacked)?;
        let mut tar = Command::new("tar");
        tar.arg("--extract").arg("--file").arg(&package.file);
        run(tar.current_dir(package.file.with_file_name("")))?;
        check(package, root, parts)?;
    }
    Ok(published)
}

fn published() -> Result<Vec<Published>> {
    let metadata = ["metadata", "--no-deps", "--locked", "--format-version=1"];
    let metadata: Metadata = serde_json::from_str(&output(cargo()?.args(metadata))?)?;
    let directory = target_dir()?.join("package");
    let packages = metadata.packages.into_iter().filter(|package| package.publish.is_none());
    Ok(packages
        .map(|MetadataPackage { name, version, manifest_path, .. }| {
            let unpacked = directory.join(format!("{name}-{version}"));
            let file = unpacked.with_added_extension("crate");
            Published { name, directory: manifest_path.with_file_name(""), file, unpacked }
        })
        .collect())
}

impl Published {
    /// The components that it carries.
    fn carried(&self) -> &'static [&'static str] {
        CARRIED.iter().find(|(name, _)| *name == self.name).map_or(&[], |(_, files)| files)
    }
}

/// The documents of every package: each copy of the work comes with its license.
const DOCUMENTS: [&str; 2] = ["LICENSE", "README.md"];

/// Checks the files that no build checks: that the documents, the contract and the components in a package are the
/// right ones.
fn check(package: &Published, root: &Path, parts: &Path) -> Result<()> {
    for name in DOCUMENTS {
        run(Command::new("diff").arg(package.unpacked.join(name)).arg(root.join(name)))?;
    }
    let wit = package.unpacked.join("wit");
    if wit.exists() {
        run(Command::new("diff").arg("--recursive").arg(wit).arg(root.join("wit")))?;
    }
    for name in package.carried() {
        run(Command::new("diff").arg(package.unpacked.join(name)).arg(parts.join(name)))?;
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
    manifest_path: PathBuf,
    /// Where it may be published: an empty list for nowhere, none for anywhere.
    publish: Option<Vec<String>>,
}

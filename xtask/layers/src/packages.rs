//! The packages of the workspace, as cargo describes them.

use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail};
use serde::Deserialize;

/// A workspace and its packages.
pub struct Workspace {
    pub root: PathBuf,
    pub packages: Vec<Package>,
}

/// A package of the workspace.
#[derive(Debug)]
pub struct Package {
    /// Its directory, relative to the root of the workspace.
    pub directory: PathBuf,
    pub targets: Vec<Target>,
    /// The packages of the workspace that it depends on, except for its tests.
    pub dependencies: Vec<Dependency>,
}

/// A crate of a package: a library, a program, tests.
#[derive(Debug, Deserialize)]
pub struct Target {
    /// Its root file.
    #[serde(rename = "src_path")]
    pub root_file: PathBuf,
}

/// A dependency on another package of the workspace.
#[derive(Debug)]
pub struct Dependency {
    /// The directory of the other package, relative to the root of the workspace.
    pub directory: PathBuf,
    /// Only the build script uses it.
    pub build: bool,
}

#[derive(Deserialize)]
struct Metadata {
    workspace_root: PathBuf,
    packages: Vec<MetadataPackage>,
}

#[derive(Deserialize)]
struct MetadataPackage {
    manifest_path: PathBuf,
    targets: Vec<Target>,
    dependencies: Vec<MetadataDependency>,
}

#[derive(Deserialize)]
struct MetadataDependency {
    kind: Option<String>,
    path: Option<PathBuf>,
}

/// Reads the workspace that `directory` is in.
pub fn read(directory: &Path) -> Result<Workspace> {
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(["metadata", "--no-deps", "--format-version=1"]).current_dir(directory);
    let output = cargo.output().context("cannot run cargo")?;
    if !output.status.success() {
        bail!("cargo metadata failed: {}", String::from_utf8_lossy(&output.stderr).trim_end());
    }
    let metadata: Metadata = serde_json::from_slice(&output.stdout).context("cargo's metadata")?;
    let root = metadata.workspace_root;
    let packages = metadata.packages.into_iter().map(|package| package.into_package(&root));
    Ok(Workspace { packages: packages.collect::<Result<_>>()?, root })
}

impl MetadataPackage {
    fn into_package(self, root: &Path) -> Result<Package> {
        let directory = self.manifest_path.parent().unwrap_or(root);
        let relative = |path: &Path| {
            let relative = path.strip_prefix(root).map(Path::to_path_buf);
            relative.with_context(|| format!("{} is outside the workspace", path.display()))
        };
        let dependencies = self.dependencies.iter().filter_map(|dependency| {
            let path = dependency.path.as_ref()?;
            let kind = dependency.kind.as_deref();
            (kind != Some("dev")).then_some((path, kind == Some("build")))
        });
        Ok(Package {
            directory: relative(directory)?,
            targets: self.targets,
            dependencies: dependencies
                .map(|(path, build)| Ok(Dependency { directory: relative(path)?, build }))
                .collect::<Result<_>>()?,
        })
    }
}

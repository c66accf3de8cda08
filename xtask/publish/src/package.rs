//! The files of a release.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};
use wasm_pkg_core::manifest::Manifest;

use crate::{ARTIFACTS, contract, metadata, sbom, sums};

/// Where the parts of a release are, and where it goes.
pub struct Places {
    /// The root of the workspace.
    pub root: PathBuf,
    /// The directory of the built components.
    pub components: PathBuf,
    /// Other files of the release, such as `.crate` files.
    pub files: Vec<PathBuf>,
    /// The directory of the release, which is emptied first.
    pub dist: PathBuf,
}

/// Writes the release, and returns the names of its files.
///
/// # Errors
///
/// If a component is missing or not among [`ARTIFACTS`], or a file cannot be read or written.
pub async fn write(places: &Places) -> Result<Vec<String>> {
    complete(&places.components)?;
    let manifest = Manifest::load_from_path(places.root.join("wkg.toml"))?;
    let shared = manifest.metadata.clone().unwrap_or_default();
    let workspace = sbom::workspace(&places.root)?;
    empty(&places.dist)?;

    let mut files = Vec::new();
    for artifact in ARTIFACTS {
        let file = format!("{}.wasm", artifact.name);
        let version = sbom::version(&workspace, artifact.crates[0])?;
        let built = read(&places.components.join(&file))?;
        let wasm = metadata::add(artifact, &version, &shared, &built)?;
        let materials = sbom::of(artifact, &wasm, &workspace)?;
        files.push(put(&places.dist, file, &wasm)?);
        files.push(put(&places.dist, format!("{}.cdx.json", artifact.name), &materials)?);
    }
    let scratch = places.dist.join("scratch");
    let (file, wasm) = contract::build(&manifest, &places.root.join("wit"), &scratch).await?;
    fs::remove_dir_all(&scratch).with_context(|| format!("cannot remove {}", scratch.display()))?;
    files.push(put(&places.dist, file, &wasm)?);
    for path in &places.files {
        let file = path.file_name().context("a file has a name")?.to_string_lossy();
        files.push(put(&places.dist, file.into_owned(), &read(path)?)?);
    }
    files.sort();

    let sums = sums::of(&places.dist, &files)?;
    files.push(put(&places.dist, sums::FILE.to_owned(), sums.as_bytes())?);
    Ok(files)
}

/// Checks that exactly the components of [`ARTIFACTS`] are built. Nothing else would notice a component that is not
/// published.
fn complete(components: &Path) -> Result<()> {
    let unreadable = || format!("cannot read {}", components.display());
    let mut built = BTreeSet::new();
    for entry in fs::read_dir(components).with_context(unreadable)? {
        let name = entry.with_context(unreadable)?.file_name().to_string_lossy().into_owned();
        built.extend(name.strip_suffix(".wasm").map(str::to_owned));
    }
    let named: BTreeSet<_> = ARTIFACTS.iter().map(|artifact| artifact.name.to_owned()).collect();
    if let Some(missing) = named.difference(&built).next() {
        bail!("{} has no {missing}.wasm", components.display());
    }
    if let Some(unknown) = built.difference(&named).next() {
        let components = components.display();
        bail!(
            "{components} has {unknown}.wasm, which xtask/publish/src/artifacts.rs does not name"
        );
    }
    Ok(())
}

/// Empties a directory, so that no file of an earlier release stays.
fn empty(directory: &Path) -> Result<()> {
    if directory.exists() {
        fs::remove_dir_all(directory)
            .with_context(|| format!("cannot remove {}", directory.display()))?;
    }
    fs::create_dir_all(directory.join("scratch"))
        .with_context(|| format!("cannot create {}", directory.display()))
}

fn read(file: &Path) -> Result<Vec<u8>> {
    fs::read(file).with_context(|| format!("cannot read {}", file.display()))
}

fn put(directory: &Path, file: String, content: &[u8]) -> Result<String> {
    let path = directory.join(&file);
    fs::write(&path, content).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(file)
}

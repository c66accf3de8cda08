//! What an artifact is made of, in CycloneDX 1.5: the crates that are compiled into it. Those that only
//! generate code, macros and build scripts, are not.
//!
//! There is neither a serial number nor a time in it: the same source gives the same file.

use std::{collections::BTreeSet, path::Path, process::Command};

use anyhow::{Context, Result, bail};
use cargo_metadata::{DependencyKind, Metadata, MetadataCommand, Package, PackageId};
use cyclonedx_bom::{
    external_models::uri::Purl,
    models::{
        bom::{Bom, SpecVersion},
        component::{Classification, Component, Components, MimeType},
        dependency::{Dependencies, Dependency},
        hash::{Hash, HashAlgorithm, HashValue, Hashes},
        license::{LicenseChoice, Licenses},
        metadata::Metadata as BomMetadata,
    },
};

use crate::{Artifact, sums};

/// What components are compiled for.
const TARGET: &str = "wasm32-wasip2";

/// The workspace's packages and all that they depend on.
pub fn workspace(root: &Path) -> Result<Metadata> {
    let mut metadata = MetadataCommand::new();
    let options = ["--locked", "--filter-platform", TARGET].map(String::from);
    metadata.manifest_path(root.join("Cargo.toml")).other_options(options);
    metadata.exec().context("cargo does not say what Holdfast is made of")
}

/// The version of a package of the workspace.
pub fn version(workspace: &Metadata, name: &str) -> Result<String> {
    let packages = workspace.workspace_packages();
    let package = packages.iter().find(|package| package.name == name);
    Ok(package.with_context(|| format!("there is no package {name}"))?.version.to_string())
}

/// The bill of materials of a file, as JSON.
pub fn of(artifact: &Artifact, wasm: &[u8], workspace: &Metadata) -> Result<Vec<u8>> {
    let compiled = compiled(artifact, workspace)?;
    let itself = itself(artifact, wasm, workspace)?;
    let mut dependencies = vec![Dependency {
        dependency_ref: artifact.name.into(),
        dependencies: artifact
            .crates
            .iter()
            .map(|name| Ok(format!("{name}@{}", version(workspace, name)?)))
            .collect::<Result<_>>()?,
    }];
    dependencies.extend(compiled.iter().map(|package| Dependency {
        dependency_ref: reference(package),
        dependencies:
            depends(package, &compiled, workspace).iter().map(|on| reference(on)).collect(),
    }));
    let bom = Bom {
        serial_number: None,
        metadata: Some(BomMetadata { component: Some(itself), ..BomMetadata::default() }),
        components: Some(Components(compiled.iter().map(|p| crate_of(p)).collect::<Result<_>>()?)),
        dependencies: Some(Dependencies(dependencies)),
        ..Bom::default()
    };
    let mut json = Vec::new();
    bom.output_as_json(&mut json, SpecVersion::V1_5)?;
    json.push(b'\n');
    Ok(json)
}

/// The packages that are compiled into it, by name and version. Only `cargo tree` knows them: the resolver
/// of `cargo metadata` turns on the features that any package of the workspace asks for.
fn compiled<'a>(artifact: &Artifact, workspace: &'a Metadata) -> Result<Vec<&'a Package>> {
    let mut tree = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    tree.args(["tree", "--locked", "--edges", "normal,no-proc-macro", "--target", TARGET])
        .args(["--prefix", "none", "--format", "{p}"])
        .args(artifact.crates.iter().flat_map(|name| ["--package", name]))
        .current_dir(&workspace.workspace_root);
    let output = tree.output().context("cannot run cargo")?;
    if !output.status.success() {
        bail!("cargo tree fails: {}", String::from_utf8_lossy(&output.stderr).trim_end());
    }
    let text = String::from_utf8(output.stdout)?;
    // `name v1.2.3`, with a path behind it where it is ours.
    let named: BTreeSet<_> = text
        .lines()
        .filter_map(|line| {
            let mut words = line.split(' ');
            Some((words.next()?, words.next()?.strip_prefix('v')?))
        })
        .collect();
    named
        .into_iter()
        .map(|(name, version)| {
            let is =
                |package: &&Package| package.name == name && package.version.to_string() == version;
            let package = workspace.packages.iter().find(is);
            package.with_context(|| format!("cargo tree names {name} {version}, nobody else does"))
        })
        .collect()
}

/// Which of the packages this one needs.
fn depends<'a>(package: &Package, among: &[&'a Package], workspace: &Metadata) -> Vec<&'a Package> {
    let nodes = workspace.resolve.iter().flat_map(|resolve| &resolve.nodes);
    let normal = nodes.filter(|node| node.id == package.id).flat_map(|node| &node.deps);
    let normal: BTreeSet<&PackageId> = normal
        .filter(|on| on.dep_kinds.iter().any(|kind| kind.kind == DependencyKind::Normal))
        .map(|on| &on.pkg)
        .collect();
    among.iter().copied().filter(|other| normal.contains(&other.id)).collect()
}

fn itself(artifact: &Artifact, wasm: &[u8], workspace: &Metadata) -> Result<Component> {
    let version = version(workspace, artifact.crates[0])?;
    let mut itself = Component::new(
        Classification::Library,
        artifact.name,
        &version,
        Some(artifact.name.to_owned()),
    );
    itself.mime_type = Some(MimeType("application/wasm".into()));
    itself.description = Some(cyclonedx_bom::prelude::NormalizedString::new(artifact.description));
    let sum = Hash { alg: HashAlgorithm::SHA_256, content: HashValue(sums::hex(wasm)) };
    itself.hashes = Some(Hashes(vec![sum]));
    Ok(itself)
}

fn crate_of(package: &Package) -> Result<Component> {
    let (name, version) = (package.name.as_str(), package.version.to_string());
    let mut component =
        Component::new(Classification::Library, name, &version, Some(reference(package)));
    component.purl = Some(Purl::new("cargo", name, &version)?);
    // An old form of "or" that SPDX does not have.
    let license = package.license.as_deref().map(|license| license.replace('/', " OR "));
    component.licenses = license.map(|it| Licenses(vec![LicenseChoice::expression(&it)]));
    Ok(component)
}

fn reference(package: &Package) -> String {
    format!("{}@{}", package.name, package.version)
}

//! Bills of materials in CycloneDX 1.5: the crates that are compiled into a component. Macros and build scripts
//! only generate code, and are left out.
//!
//! There is no serial number and no time, so the same source always gives the same file.

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

/// The target of components.
const TARGET: &str = "wasm32-wasip2";

/// The packages of the workspace and all their dependencies.
pub fn workspace(root: &Path) -> Result<Metadata> {
    let mut metadata = MetadataCommand::new();
    let options = ["--locked", "--filter-platform", TARGET].map(String::from);
    metadata.manifest_path(root.join("Cargo.toml")).other_options(options);
    metadata.exec().context("cannot read the dependencies of the workspace")
}

/// The version of a package of the workspace.
pub fn version(workspace: &Metadata, name: &str) -> Result<String> {
    let packages = workspace.workspace_packages();
    let package = packages.iter().find(|package| package.name == name);
    Ok(package.with_context(|| format!("no package {name}"))?.version.to_string())
}

/// The bill of materials of a component, as JSON.
pub fn of(artifact: &Artifact, wasm: &[u8], workspace: &Metadata) -> Result<Vec<u8>> {
    let compiled = compiled(artifact, workspace)?;
    let component = component(artifact, wasm, workspace)?;
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
        metadata: Some(BomMetadata { component: Some(component), ..BomMetadata::default() }),
        components: Some(Components(
            compiled.iter().map(|p| dependency(p)).collect::<Result<_>>()?,
        )),
        dependencies: Some(Dependencies(dependencies)),
        ..Bom::default()
    };
    let mut json = Vec::new();
    bom.output_as_json(&mut json, SpecVersion::V1_5)?;
    json.push(b'\n');
    Ok(json)
}

/// The packages that are compiled into a component, by name and version. Only `cargo tree` knows them:
/// `cargo metadata` enables the features that any package of the workspace asks for.
fn compiled<'a>(artifact: &Artifact, workspace: &'a Metadata) -> Result<Vec<&'a Package>> {
    let mut tree = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    tree.args(["tree", "--locked", "--edges", "normal,no-proc-macro", "--target", TARGET])
        .args(["--prefix", "none", "--format", "{p}"])
        .args(artifact.crates.iter().flat_map(|name| ["--package", name]))
        .current_dir(&workspace.workspace_root);
    let output = tree.output().context("cannot run cargo")?;
    if !output.status.success() {
        bail!("cargo tree failed: {}", String::from_utf8_lossy(&output.stderr).trim_end());
    }
    let text = String::from_utf8(output.stdout)?;
    // `name v1.2.3`, followed by the path of a package of the workspace.
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
            package.with_context(|| {
                format!("cargo metadata lacks {name} {version}, which cargo tree has")
            })
        })
        .collect()
}

/// The direct dependencies of `package` among these packages.
fn depends<'a>(package: &Package, among: &[&'a Package], workspace: &Metadata) -> Vec<&'a Package> {
    let nodes = workspace.resolve.iter().flat_map(|resolve| &resolve.nodes);
    let normal = nodes.filter(|node| node.id == package.id).flat_map(|node| &node.deps);
    let normal: BTreeSet<&PackageId> = normal
        .filter(|on| on.dep_kinds.iter().any(|kind| kind.kind == DependencyKind::Normal))
        .map(|on| &on.pkg)
        .collect();
    among.iter().copied().filter(|other| normal.contains(&other.id)).collect()
}

/// The component, as the subject of the bill.
fn component(artifact: &Artifact, wasm: &[u8], workspace: &Metadata) -> Result<Component> {
    let version = version(workspace, artifact.crates[0])?;
    let mut component = Component::new(
        Classification::Library,
        artifact.name,
        &version,
        Some(artifact.name.to_owned()),
    );
    component.mime_type = Some(MimeType("application/wasm".into()));
    component.description =
        Some(cyclonedx_bom::prelude::NormalizedString::new(artifact.description));
    let sum = Hash { alg: HashAlgorithm::SHA_256, content: HashValue(sums::hex(wasm)) };
    component.hashes = Some(Hashes(vec![sum]));
    Ok(component)
}

/// A package, as a part of the component.
fn dependency(package: &Package) -> Result<Component> {
    let (name, version) = (package.name.as_str(), package.version.to_string());
    let mut component =
        Component::new(Classification::Library, name, &version, Some(reference(package)));
    component.purl = Some(Purl::new("cargo", name, &version)?);
    // Some packages still write `/` for `OR`, which SPDX does not know.
    let license = package.license.as_deref().map(|license| license.replace('/', " OR "));
    component.licenses = license.map(|it| Licenses(vec![LicenseChoice::expression(&it)]));
    Ok(component)
}

fn reference(package: &Package) -> String {
    format!("{}@{}", package.name, package.version)
}

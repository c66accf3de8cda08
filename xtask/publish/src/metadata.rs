//! A component's metadata: the custom sections that `wasm-tools metadata show` prints and that become the
//! annotations in a registry.

use anyhow::{Context, Result};
use wasm_metadata::{AddMetadata, AddMetadataField};
use wasm_pkg_core::manifest::Metadata;

use crate::Artifact;

/// Adds the component's name, description and version, and the metadata of `wkg.toml`, to `wasm`.
pub fn add(artifact: &Artifact, version: &str, shared: &Metadata, wasm: &[u8]) -> Result<Vec<u8>> {
    let mut add = AddMetadata::default();
    add.name = AddMetadataField::Set(artifact.name.to_owned());
    add.description = field("description", Some(artifact.description))?;
    add.version = field("version", Some(version))?;
    add.authors = field("authors", shared.authors.as_deref())?;
    add.licenses = field("licenses", shared.licenses.as_deref())?;
    add.source = field("source", shared.source.as_deref())?;
    add.homepage = field("homepage", shared.homepage.as_deref())?;
    add.revision = field("revision", shared.revision.as_deref())?;
    add.to_wasm(wasm).with_context(|| format!("{}.wasm is not a component", artifact.name))
}

fn field<T>(name: &str, value: Option<&str>) -> Result<AddMetadataField<T>>
where
    T: std::str::FromStr<Err: Into<anyhow::Error>> + std::fmt::Debug + Clone,
{
    let Some(value) = value else { return Ok(AddMetadataField::Keep) };
    let parsed = value.parse::<T>().map_err(Into::into);
    Ok(AddMetadataField::Set(parsed.with_context(|| format!("`{name}` is `{value}`"))?))
}

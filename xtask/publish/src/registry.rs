//! An OCI registry, and how a release is put there: in the layout of the CNCF's guidance for Wasm OCI
//! artifacts, under the names by which `wkg get` looks for packages.
//!
//! The package `ns:name` of a version is the tag of that version in the repository `NAMESPACE/ns/name`.
//! Annotations of its manifest are what the component says of itself.

use std::{collections::BTreeMap, fs, path::Path};

use anyhow::{Context, Result, anyhow, bail};
use docker_credential::{CredentialRetrievalError, DockerCredential};
use oci_client::{
    Client, Reference, RegistryOperation, annotations,
    client::{ClientConfig, ClientProtocol},
    errors::{OciDistributionError, OciErrorCode},
    manifest::OciManifest,
    secrets::RegistryAuth,
};
use oci_wasm::{WasmClient, WasmConfig};
use wasm_metadata::Payload;

use crate::{ARTIFACTS, CONTRACT};

/// A registry's host and port, and the namespace in it.
pub struct Place<'a> {
    /// `HOST[:PORT]/NAMESPACE`, or without a namespace.
    pub registry: &'a str,
    /// Over HTTP without TLS.
    pub insecure: bool,
}

/// A file of a release, as a registry has it.
struct Release {
    file: String,
    /// `ns:name`
    package: &'static str,
    version: String,
    wasm: Vec<u8>,
}

/// Publishes what is in `dist`; says of each package `ns:name@version` whether it is new there. What was
/// published stays as it is, so that a publication that failed half-way can be done again.
///
/// # Errors
///
/// Where `dist` has no release, or the registry refuses something or has another content under the same
/// version.
pub async fn publish(dist: &Path, place: &Place<'_>) -> Result<Vec<(String, bool)>> {
    let protocol = if place.insecure { ClientProtocol::Http } else { ClientProtocol::Https };
    let client = Client::new(ClientConfig { protocol, ..ClientConfig::default() });
    let client = WasmClient::new(client);
    let mut published = Vec::new();
    for release in releases(dist)? {
        let name = format!("{}@{}", release.package, release.version);
        let put = put(&client, place, release).await;
        let new = put.with_context(|| format!("cannot publish {name} at {}", place.registry))?;
        published.push((name, new));
    }
    Ok(published)
}

/// The components and the contract in `dist`.
fn releases(dist: &Path) -> Result<Vec<Release>> {
    let contract = format!("{CONTRACT}@");
    let unreadable = || format!("cannot read {}", dist.display());
    let mut releases = Vec::new();
    for entry in fs::read_dir(dist).with_context(unreadable)? {
        let path = entry.with_context(unreadable)?.path();
        let file = path.file_name().unwrap_or_default().to_string_lossy();
        let Some(name) = file.strip_suffix(".wasm") else { continue };
        let package = if name.starts_with(&contract) {
            CONTRACT
        } else {
            let artifact = ARTIFACTS.iter().find(|artifact| artifact.name == name);
            artifact.with_context(|| format!("{file} is no part of a release"))?.package
        };
        let wasm = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let said = Payload::from_binary(&wasm)?.metadata().version.clone();
        let version = said.with_context(|| format!("{file} does not say its version"))?.to_string();
        releases.push(Release { file: file.clone().into_owned(), package, version, wasm });
    }
    if releases.is_empty() {
        bail!("{} has no release", dist.display());
    }
    releases.sort_by_key(|release| release.package);
    Ok(releases)
}

/// Whether it was put there; else it is there already.
async fn put(client: &WasmClient, place: &Place<'_>, release: Release) -> Result<bool> {
    let reference = reference(place, &release)?;
    let auth = credentials(reference.resolve_registry())?;
    client.auth(&reference, &auth, RegistryOperation::Push).await?;

    let annotations = annotations(&release)?;
    let (mut config, mut layer) = WasmConfig::from_raw_component(release.wasm, None)?;
    // The same release has the same digest whenever it is put there.
    config.created = Default::default();
    let title = annotations::ORG_OPENCONTAINERS_IMAGE_TITLE.to_owned();
    layer.annotations = Some([(title, release.file)].into());
    match layers(client, &reference, &auth).await? {
        None => {
            client.push(&reference, &auth, layer, config, Some(annotations)).await?;
            Ok(true)
        }
        Some(there) if there == config.layer_digests => Ok(false),
        Some(_) => bail!("this version is there already, with another content"),
    }
}

fn reference(place: &Place<'_>, release: &Release) -> Result<Reference> {
    let form = || format!("`{}` is not of the form HOST[:PORT]/NAMESPACE", place.registry);
    let host = place.registry.split('/').next().unwrap_or_default();
    // Else it would be a name at Docker's own registry.
    if host != "localhost" && !host.contains(['.', ':']) {
        bail!(form());
    }
    let repository = release.package.replace(':', "/");
    let registry = place.registry.trim_end_matches('/');
    format!("{registry}/{repository}:{}", release.version).parse().with_context(form)
}

/// What Docker's own client would show to the registry.
fn credentials(registry: &str) -> Result<RegistryAuth> {
    use CredentialRetrievalError::{ConfigNotFound, ConfigReadError, NoCredentialConfigured};
    match docker_credential::get_credential(registry) {
        Ok(DockerCredential::UsernamePassword(user, password)) => {
            Ok(RegistryAuth::Basic(user, password))
        }
        Ok(DockerCredential::IdentityToken(_)) => {
            bail!("Docker's configuration has an identity token, which is not supported")
        }
        Err(ConfigNotFound | ConfigReadError | NoCredentialConfigured) => {
            Ok(RegistryAuth::Anonymous)
        }
        Err(error) => Err(anyhow!("Docker's configuration has no login: {error}")),
    }
}

/// The digests of what a tag has, if there is such a tag.
async fn layers(
    client: &WasmClient,
    reference: &Reference,
    auth: &RegistryAuth,
) -> Result<Option<Vec<String>>> {
    match client.pull_manifest(reference, auth).await {
        Ok((OciManifest::Image(manifest), _)) => {
            Ok(Some(manifest.layers.into_iter().map(|layer| layer.digest).collect()))
        }
        Ok((OciManifest::ImageIndex(_), _)) => Ok(Some(Vec::new())),
        Err(OciDistributionError::ImageManifestNotFoundError(_)) => Ok(None),
        Err(OciDistributionError::ServerError { code: 404, .. }) => Ok(None),
        Err(OciDistributionError::RegistryError { ref envelope, .. })
            if envelope.errors.iter().all(|error| {
                matches!(error.code, OciErrorCode::ManifestUnknown | OciErrorCode::NameUnknown)
            }) =>
        {
            Ok(None)
        }
        Err(error) => Err(error.into()),
    }
}

/// What the component says of itself, in the registry's terms.
fn annotations(release: &Release) -> Result<BTreeMap<String, String>> {
    let payload = Payload::from_binary(&release.wasm)?;
    let said = payload.metadata();
    let named = [
        (annotations::ORG_OPENCONTAINERS_IMAGE_AUTHORS, text(&said.authors)),
        (annotations::ORG_OPENCONTAINERS_IMAGE_DESCRIPTION, text(&said.description)),
        (annotations::ORG_OPENCONTAINERS_IMAGE_LICENSES, text(&said.licenses)),
        (annotations::ORG_OPENCONTAINERS_IMAGE_REVISION, text(&said.revision)),
        (annotations::ORG_OPENCONTAINERS_IMAGE_SOURCE, text(&said.source)),
        (annotations::ORG_OPENCONTAINERS_IMAGE_URL, text(&said.homepage)),
        (annotations::ORG_OPENCONTAINERS_IMAGE_VERSION, text(&said.version)),
    ];
    let said = named.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
    Ok(said.collect())
}

fn text<T: ToString>(value: &Option<T>) -> Option<String> {
    value.as_ref().map(T::to_string)
}

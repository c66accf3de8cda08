//! Publishing to an OCI registry: in the layout of the CNCF's guidance for Wasm OCI artifacts, under the names
//! that `wkg get` looks up.
//!
//! A version of the package `ns:name` is a tag in the repository `NAMESPACE/ns/name`. Its manifest is annotated
//! with the component's metadata. A filter for proxies has the layout that those pull, and is not for `wkg get`.

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

use crate::{ARTIFACTS, CONTRACT, Form, filter_image::FilterImage};

/// The registry, and the namespace in it.
pub struct Place<'a> {
    /// `HOST[:PORT]/NAMESPACE`. The namespace may be missing.
    pub registry: &'a str,
    /// Use HTTP without TLS.
    pub insecure: bool,
}

/// A package of a release.
struct Release {
    file: String,
    /// `ns:name`
    package: &'static str,
    version: String,
    form: Form,
    wasm: Vec<u8>,
}

/// Publishes the components and the contract in `dist`. Returns each package as `ns:name@version`, and whether
/// it is new in the registry. A version that is there already is left alone, so a publication that failed
/// can be repeated.
///
/// # Errors
///
/// If `dist` has no release, or the registry refuses a package or has the same version with other content.
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
        let (package, form) = if name.starts_with(&contract) {
            (CONTRACT, Form::Component)
        } else {
            let artifact = ARTIFACTS.iter().find(|artifact| artifact.name == name);
            let artifact = artifact.with_context(|| format!("{file} is not part of a release"))?;
            (artifact.package, artifact.form)
        };
        let wasm = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let version = Payload::from_binary(&wasm)?.metadata().version.clone();
        let version = version.with_context(|| format!("{file} has no version"))?.to_string();
        releases.push(Release { file: file.clone().into_owned(), package, version, form, wasm });
    }
    if releases.is_empty() {
        bail!("{} has no release", dist.display());
    }
    releases.sort_by_key(|release| release.package);
    Ok(releases)
}

/// Publishes a package. Returns false if the registry has it already.
async fn put(client: &WasmClient, place: &Place<'_>, release: Release) -> Result<bool> {
    let reference = reference(place, &release)?;
    let auth = credentials(reference.resolve_registry())?;
    client.auth(&reference, &auth, RegistryOperation::Push).await?;

    let annotations = annotations(&release)?;
    let there = layers(client, &reference, &auth).await?;
    match release.form {
        Form::Component => {
            let (mut config, mut layer) = WasmConfig::from_raw_component(release.wasm, None)?;
            // The digest of a release must not depend on the time it is published.
            config.created = Default::default();
            let title = annotations::ORG_OPENCONTAINERS_IMAGE_TITLE.to_owned();
            layer.annotations = Some([(title, release.file)].into());
            let is_new = is_new(there, &config.layer_digests)?;
            if is_new {
                client.push(&reference, &auth, layer, config, Some(annotations)).await?;
            }
            Ok(is_new)
        }
        Form::Filter => {
            let image = FilterImage::new(release.wasm, &release.file, annotations);
            let is_new = is_new(there, &image.layer_digests())?;
            if is_new {
                let FilterImage { layers, config, manifest } = image;
                let client: &Client = client.as_ref();
                client.push(&reference, &layers, config, &auth, Some(manifest)).await?;
            }
            Ok(is_new)
        }
    }
}

/// Whether these layers are to be pushed. Fails if the tag has others.
fn is_new(there: Option<Vec<String>>, layers: &[String]) -> Result<bool> {
    match there {
        None => Ok(true),
        Some(there) if there == layers => Ok(false),
        Some(_) => bail!("the registry already has this version with other content"),
    }
}

fn reference(place: &Place<'_>, release: &Release) -> Result<Reference> {
    let form = || format!("`{}` is not of the form HOST[:PORT]/NAMESPACE", place.registry);
    let host = place.registry.split('/').next().unwrap_or_default();
    // A name without a dot or port would be a namespace in Docker Hub.
    if host != "localhost" && !host.contains(['.', ':']) {
        bail!(form());
    }
    let repository = release.package.replace(':', "/");
    let registry = place.registry.trim_end_matches('/');
    format!("{registry}/{repository}:{}", release.version).parse().with_context(form)
}

/// The login for the registry in Docker's configuration.
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

/// The digests of a tag's layers, if the tag exists.
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

/// The component's metadata as annotations.
fn annotations(release: &Release) -> Result<BTreeMap<String, String>> {
    let payload = Payload::from_binary(&release.wasm)?;
    let metadata = payload.metadata();
    let named = [
        (annotations::ORG_OPENCONTAINERS_IMAGE_AUTHORS, text(&metadata.authors)),
        (annotations::ORG_OPENCONTAINERS_IMAGE_DESCRIPTION, text(&metadata.description)),
        (annotations::ORG_OPENCONTAINERS_IMAGE_LICENSES, text(&metadata.licenses)),
        (annotations::ORG_OPENCONTAINERS_IMAGE_REVISION, text(&metadata.revision)),
        (annotations::ORG_OPENCONTAINERS_IMAGE_SOURCE, text(&metadata.source)),
        (annotations::ORG_OPENCONTAINERS_IMAGE_URL, text(&metadata.homepage)),
        (annotations::ORG_OPENCONTAINERS_IMAGE_VERSION, text(&metadata.version)),
    ];
    let named = named.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
    Ok(named.collect())
}

fn text<T: ToString>(value: &Option<T>) -> Option<String> {
    value.as_ref().map(T::to_string)
}

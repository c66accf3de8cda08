//! A release is published to a real registry, and fetched from it as `wkg get` does.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::{
    env, fs,
    io::{self, BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::mpsc,
    thread,
    time::Duration,
};

use futures_util::TryStreamExt;
use holdfast_publish::{
    ARTIFACTS, CONTRACT, Form,
    registry::{self, Place},
};
use holdfast_watched::Watched;
use oci_client::{
    Reference,
    client::{ClientConfig, ClientProtocol},
    secrets::RegistryAuth,
};
use oci_wasm::WasmClient;
use tempfile::TempDir;
use wasm_pkg_client::{Client, Config, PackageRef};

use common::release;

const STARTING: Duration = Duration::from_secs(20);

/// `docker-registry` on a free port, with empty storage.
struct Registry {
    address: String,
    _process: Watched,
    _storage: TempDir,
}

impl Registry {
    /// Starts the registry. None if `cargo xtask test` could not prepare one.
    fn start() -> Option<Self> {
        let Some(made) = env::var_os("HOLDFAST_SERVER_REGISTRY").map(PathBuf::from) else {
            // The output of `eprintln!` is hidden in a test that passes.
            let _ = writeln!(io::stderr(), "skipped: no registry: `cargo xtask test` prepares one");
            return None;
        };
        let storage = tempfile::tempdir().unwrap();
        let settings = storage.path().join("registry.yml");
        let content = format!(
            "version: 0.1
log: {{level: info}}
storage: {{filesystem: {{rootdirectory: {}}}}}
http: {{addr: 127.0.0.1:0}}
",
            storage.path().join("data").display(),
        );
        fs::write(&settings, content).unwrap();
        let mut command = Command::new(made.join("docker-registry"));
        command.arg("serve").arg(settings).stdin(Stdio::null()).stdout(Stdio::null());
        command.stderr(Stdio::piped());
        let mut process = Watched::start(command);
        let log = BufReader::new(process.process_mut().stderr.take().unwrap());
        let (sender, receiver) = mpsc::channel();
        // Reads to the end, so that the process never waits for a reader.
        thread::spawn(move || {
            for line in log.lines().map_while(Result::ok) {
                if let Some((_, rest)) = line.split_once("listening on ") {
                    let _ = sender.send(rest.split('"').next().unwrap_or_default().to_owned());
                }
            }
        });
        let address = receiver.recv_timeout(STARTING).expect("a registry that listens");
        Some(Self { address, _process: process, _storage: storage })
    }

    async fn publish(&self, dist: &Path) -> anyhow::Result<Vec<(String, bool)>> {
        let registry = format!("{}/edge", self.address);
        registry::publish(dist, &Place { registry: &registry, insecure: true }).await
    }

    /// The content that `wkg get` fetches, with settings that map our packages to this registry.
    async fn get(&self, package: &str) -> Vec<u8> {
        let settings = format!(
            r#"
[namespace_registries]
holdfast = {{ registry = "{0}", metadata = {{ preferredProtocol = "oci", oci = {{ registry = "{0}", namespacePrefix = "edge/" }} }} }}

[registry."{0}".oci]
protocol = "http"
"#,
            self.address,
        );
        let client = Client::new(Config::from_toml(&settings).unwrap());
        let package: PackageRef = package.parse().unwrap();
        let release = client.get_release(&package, &"0.1.0".parse().unwrap()).await.unwrap();
        let content = client.stream_content(&package, &release).await.unwrap();
        let pieces: Vec<_> = content.try_collect().await.unwrap();
        pieces.concat()
    }

    fn client(&self) -> oci_client::Client {
        let protocol = ClientProtocol::Http;
        oci_client::Client::new(ClientConfig { protocol, ..ClientConfig::default() })
    }

    fn reference(&self, package: &str) -> Reference {
        let repository = package.replace(':', "/");
        format!("{}/edge/{repository}:0.1.0", self.address).parse().unwrap()
    }

    /// The annotations of a package's manifest. The client also checks its media types.
    async fn annotations(&self, package: &str) -> Vec<(String, String)> {
        let reference = self.reference(package);
        let client = WasmClient::new(self.client());
        let manifest =
            client.pull_manifest_and_config(&reference, &RegistryAuth::Anonymous).await.unwrap();
        manifest.0.annotations.unwrap().into_iter().collect()
    }
}

/// Istio and Envoy Gateway want two layers, and use the layer of this type as it is.
#[tokio::test]
async fn proxies_can_pull_the_filter() {
    let Some(registry) = Registry::start() else { return };
    let (folder, _) = release().await;
    let dist = folder.path().join("dist");
    registry.publish(&dist).await.unwrap();
    let filter = ARTIFACTS.iter().find(|artifact| artifact.form == Form::Filter).unwrap();
    let (client, reference) = (registry.client(), registry.reference(filter.package));
    let (manifest, _) =
        client.pull_image_manifest(&reference, &RegistryAuth::Anonymous).await.unwrap();
    let types: Vec<_> = manifest.layers.iter().map(|layer| layer.media_type.as_str()).collect();
    let config = "application/vnd.module.wasm.config.v1+json";
    assert_eq!(types, [config, "application/vnd.module.wasm.content.layer.v1+wasm"]);
    assert_eq!(manifest.config.media_type, config);
    let mut pulled = Vec::new();
    client.pull_blob(&reference, &manifest.layers[1], &mut pulled).await.unwrap();
    assert!(pulled == fs::read(dist.join(format!("{}.wasm", filter.name))).unwrap());
    let mut config = Vec::new();
    client.pull_blob(&reference, &manifest.layers[0], &mut config).await.unwrap();
    let config: serde_json::Value = serde_json::from_slice(&config).unwrap();
    assert_eq!(
        (&config["type"], &config["abiVersions"]),
        (&"envoy_proxy".into(), &serde_json::json!(["0.2.1"]))
    );
    let annotations = manifest.annotations.unwrap().into_iter().collect::<Vec<_>>();
    assert_eq!(
        annotations,
        [
            annotation("authors", "The Holdfast authors"),
            annotation("description", filter.description),
            annotation("licenses", "Apache-2.0"),
            annotation("version", "0.1.0"),
        ]
    );
}

fn annotation(name: &str, value: &str) -> (String, String) {
    (format!("org.opencontainers.image.{name}"), value.to_owned())
}

#[tokio::test]
async fn a_published_package_can_be_fetched_with_its_annotations() {
    let Some(registry) = Registry::start() else { return };
    let (folder, _) = release().await;
    let dist = folder.path().join("dist");
    let published = registry.publish(&dist).await.unwrap();
    assert_eq!(published.len(), ARTIFACTS.len() + 1);
    assert!(published.contains(&("holdfast:lock@0.1.0".to_owned(), true)), "{published:?}");

    let contract = fs::read(dist.join("holdfast:lock@0.1.0.wasm")).unwrap();
    assert!(registry.get(CONTRACT).await == contract);
    for artifact in ARTIFACTS.iter().filter(|artifact| artifact.form == Form::Component) {
        let wasm = fs::read(dist.join(format!("{}.wasm", artifact.name))).unwrap();
        assert!(registry.get(artifact.package).await == wasm, "{}", artifact.package);
        assert_eq!(
            registry.annotations(artifact.package).await,
            [
                annotation("authors", "The Holdfast authors"),
                annotation("description", artifact.description),
                annotation("licenses", "Apache-2.0"),
                annotation("version", "0.1.0"),
            ]
        );
    }
}

#[tokio::test]
async fn a_published_version_is_never_changed() {
    let Some(registry) = Registry::start() else { return };
    let (folder, _) = release().await;
    let dist = folder.path().join("dist");
    registry.publish(&dist).await.unwrap();
    let again = registry.publish(&dist).await.unwrap();
    assert!(again.iter().all(|(_, new)| !new), "{again:?}");

    let file = dist.join("holdfast-lock.wasm");
    let published = fs::read(&file).unwrap();
    let mut other = wasm_metadata::AddMetadata::default();
    other.language = vec![("Rust".to_owned(), "another".to_owned())];
    fs::write(&file, other.to_wasm(&published).unwrap()).unwrap();
    let refused = format!("{:#}", registry.publish(&dist).await.unwrap_err());
    assert!(
        refused.ends_with("the registry already has this version with other content"),
        "{refused}"
    );
    assert!(registry.get("holdfast:lock-component").await == published);
}

#[tokio::test]
async fn a_registry_must_be_named_and_reachable() {
    let (folder, _) = release().await;
    let dist = folder.path().join("dist");
    let error = async |registry: &str| {
        let place = Place { registry, insecure: true };
        format!("{:#}", registry::publish(&dist, &place).await.unwrap_err())
    };
    for registry in ["edge", "", "127.0.0.1:80/a b"] {
        let form = format!("`{registry}` is not of the form HOST[:PORT]/NAMESPACE");
        assert!(error(registry).await.contains(&form), "{}", error(registry).await);
    }
    let unreachable = error("127.0.0.1:1/edge").await;
    assert!(unreachable.starts_with("cannot publish holdfast:"), "{unreachable}");
    assert!(unreachable.contains("127.0.0.1:1"), "{unreachable}");
}

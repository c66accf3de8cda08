//! A filter as proxies pull it: the variant *oci* of the Wasm image specification, with media types of its own.
//!
//! Istio and Envoy Gateway take an image of exactly two layers, and look for the layer with the module; the other layer
//! names the runtime. The specification is `spec/spec.md` in `solo-io/wasm`, and the reader `extractOCIArtifactImage`
//! in Istio's `pkg/wasm/imagefetcher.go`.

use std::collections::BTreeMap;

use oci_client::{
    annotations::ORG_OPENCONTAINERS_IMAGE_TITLE,
    client::{Config, ImageLayer},
    manifest::OciImageManifest,
};

/// The media type of the layer that names the runtime of the module.
const CONFIG: &str = "application/vnd.module.wasm.config.v1+json";

/// The media type of the layer with the module.
const CONTENT: &str = "application/vnd.module.wasm.content.layer.v1+wasm";

/// The runtime of the module: Envoy and similar proxies, under any root id.
const RUNTIME: &str = r#"{"type":"envoy_proxy","abiVersions":["0.2.1"],"config":{"root_ids":[]}}"#;

/// An image of a filter.
pub struct FilterImage {
    /// Its layers.
    pub layers: [ImageLayer; 2],
    /// Its configuration, which by the specification is a layer as well.
    pub config: Config,
    /// Its manifest.
    pub manifest: OciImageManifest,
}

impl FilterImage {
    /// The image of a module in a file of this name.
    pub fn new(wasm: Vec<u8>, file: &str, annotations: BTreeMap<String, String>) -> Self {
        let titled = |title: &str| {
            Some(BTreeMap::from([(ORG_OPENCONTAINERS_IMAGE_TITLE.to_owned(), title.to_owned())]))
        };
        let layers = [
            ImageLayer::new(RUNTIME, CONFIG.to_owned(), titled("runtime-config.json")),
            ImageLayer::new(wasm, CONTENT.to_owned(), titled(file)),
        ];
        let config = Config::new(RUNTIME, CONFIG.to_owned(), None);
        let manifest = OciImageManifest::build(&layers, &config, Some(annotations));
        Self { layers, config, manifest }
    }

    /// The digests of its layers.
    pub fn layer_digests(&self) -> Vec<String> {
        self.manifest.layers.iter().map(|layer| layer.digest.clone()).collect()
    }
}

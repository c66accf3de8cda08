//! TLS to the collector.

use anyhow::Result;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use opentelemetry_otlp::tonic_types::transport::ClientTlsConfig;
use rustls::{ClientConfig, RootCertStore, crypto::ring};

pub fn for_http(roots: RootCertStore) -> Result<HttpsConnector<HttpConnector>> {
    let config = ClientConfig::builder_with_provider(ring::default_provider().into())
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let builder = HttpsConnectorBuilder::new().with_tls_config(config);
    Ok(builder.https_or_http().enable_http1().build())
}

pub fn for_grpc(roots: RootCertStore) -> ClientTlsConfig {
    ClientTlsConfig::new().trust_anchors(roots.roots)
}

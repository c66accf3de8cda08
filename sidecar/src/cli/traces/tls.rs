//! TLS to the collector.

use std::fs;

use anyhow::{Context, Result, ensure};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use opentelemetry_otlp::tonic_types::transport::ClientTlsConfig;
use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, pem::PemObject},
};

/// The trusted authorities: those in `file`, as PEM text; without a file those of the system, or those
/// that `SSL_CERT_FILE` and `SSL_CERT_DIR` name.
pub fn trusted(file: Option<&str>) -> Result<RootCertStore> {
    let certificates = match file {
        Some(file) => {
            let pem = fs::read(file).with_context(|| format!("cannot read {file}"))?;
            CertificateDer::pem_slice_iter(&pem).flatten().collect()
        }
        None => rustls_native_certs::load_native_certs().certs,
    };
    let mut roots = RootCertStore::empty();
    let (trusted, _) = roots.add_parsable_certificates(certificates);
    match file {
        Some(file) => ensure!(trusted > 0, "there is no certificate in {file}"),
        None => ensure!(trusted > 0, "there are no trusted certificates on this system"),
    }
    Ok(roots)
}

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

//! TLS to Redis: which servers are trusted, and the certificate that this client shows.
//!
//! The cryptography is always ring's. The embedder chooses the process's default, which may be another, or none.

use std::{fmt, io, sync::Arc};

use rustls::{
    AlertDescription, CertificateError, ClientConfig, DigitallySignedStruct, InvalidMessage,
    SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime, pem::PemObject},
};

use crate::authorities;

/// How to speak TLS.
#[derive(Clone, Debug)]
pub(super) struct Tls {
    /// Whether the server must show a certificate that the system trusts.
    pub(super) verify: bool,
    pub(super) identity: Option<Identity>,
}

/// The certificate that this client shows, and its key.
#[derive(Clone)]
pub(super) struct Identity {
    chain: Vec<CertificateDer<'static>>,
    key: Arc<PrivateKeyDer<'static>>,
}

/// The text that is not in PEM form.
#[derive(Clone, Copy, Debug)]
pub(super) enum PemError {
    Certificate,
    Key,
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity").finish_non_exhaustive()
    }
}

impl Identity {
    /// Reads both from PEM text. The error does not quote the parser, which could quote the key.
    pub(super) fn parse(certificate: &str, key: &str) -> Result<Self, PemError> {
        let chain = CertificateDer::pem_slice_iter(certificate.as_bytes())
            .collect::<Result<Vec<_>, _>>()
            .ok()
            .filter(|chain| !chain.is_empty())
            .ok_or(PemError::Certificate)?;
        let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).map_err(|_| PemError::Key)?;
        Ok(Self { chain, key: Arc::new(key) })
    }
}

/// The hint for a server that closes the connection and may need a certificate.
pub(super) const NEEDS_CERTIFICATE: &str =
    "a server that asks for a certificate of the client needs clientCert and clientKey";

/// The server's refusal of a handshake, which may be about the certificate of this client. With TLS 1.3 it comes after
/// the handshake.
pub(super) fn refusal(error: &io::Error) -> Option<String> {
    let error = inner(error)?;
    let rustls::Error::AlertReceived(alert) = error else { return None };
    let hint = match alert {
        AlertDescription::CertificateRequired | AlertDescription::HandshakeFailure => {
            NEEDS_CERTIFICATE
        }
        AlertDescription::AccessDenied
        | AlertDescription::BadCertificate
        | AlertDescription::CertificateExpired
        | AlertDescription::CertificateRevoked
        | AlertDescription::CertificateUnknown
        | AlertDescription::DecryptError
        | AlertDescription::UnknownCA
        | AlertDescription::UnsupportedCertificate => {
            "the server does not accept the certificate of the client: see clientCert"
        }
        _ => return None,
    };
    Some(format!("TLS: {error} ({hint})"))
}

fn inner(error: &io::Error) -> Option<&rustls::Error> {
    error.get_ref()?.downcast_ref()
}

/// Whether the server answered the handshake with something other than TLS.
pub(super) fn speaks_no_tls(error: &io::Error) -> bool {
    let nothing_of_tls = rustls::Error::InvalidMessage(InvalidMessage::InvalidContentType);
    inner(error) == Some(&nothing_of_tls)
}

/// Whether the server's certificate is that of an authority, which no server may show as its own.
pub(super) fn is_own_authority(error: &io::Error) -> bool {
    match inner(error) {
        // The type of the other error is not rustls's own.
        Some(rustls::Error::InvalidCertificate(CertificateError::Other(other))) => {
            other.to_string().contains("CaUsedAsEndEntity")
        }
        _ => false,
    }
}

/// The configuration for all connections. To verify servers, it reads the [trusted](authorities::trusted)
/// certificates.
pub(super) fn client_config(tls: &Tls) -> Result<ClientConfig, String> {
    let provider = Arc::new(ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?;
    let builder = if tls.verify {
        builder.with_root_certificates(authorities::trusted().map_err(|error| error.to_string())?)
    } else {
        builder.dangerous().with_custom_certificate_verifier(Arc::new(AnyCertificate(provider)))
    };
    match &tls.identity {
        None => Ok(builder.with_no_client_auth()),
        Some(identity) => builder
            .with_client_auth_cert(identity.chain.clone(), identity.key.clone_key())
            .map_err(|error| format!("the client certificate and its key cannot be used: {error}")),
    }
}

/// Accepts any certificate, but still checks that the server has its key.
#[derive(Debug)]
struct AnyCertificate(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let known = &self.0.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, known)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let known = &self.0.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, known)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

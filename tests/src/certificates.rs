//! Certificates that a test makes.

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};

/// A certificate authority, which a program trusts only if a test says so.
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate and its key, in PEM form.
pub struct Certified {
    /// The certificate.
    pub certificate: String,
    /// Its private key.
    pub key: String,
}

impl Authority {
    /// Makes an authority with a new key.
    ///
    /// # Panics
    ///
    /// When the certificate cannot be made.
    #[allow(clippy::new_without_default, reason = "each call makes another authority")]
    pub fn new() -> Self {
        let mut params = CertificateParams::default();
        // OpenSSL takes a certificate for self-signed if its issuer has the same name.
        params.distinguished_name.push(DnType::CommonName, "the test's authority");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, key()).expect("a certificate authority"))
    }

    /// The authority's own certificate, in PEM form.
    pub fn certificate(&self) -> String {
        self.0.pem()
    }

    /// Signs a certificate for a host name or address, for servers and clients.
    ///
    /// # Panics
    ///
    /// When the certificate cannot be made.
    pub fn certify(&self, name: &str) -> Certified {
        let key = key();
        let params = CertificateParams::new([name.to_owned()]).expect("a name");
        let certificate = params.signed_by(&key, &self.0).expect("a certificate");
        Certified { certificate: certificate.pem(), key: key.serialize_pem() }
    }
}

/// Makes a certificate for a host name or address that is its own authority, as `openssl req -x509` does.
///
/// # Panics
///
/// When the certificate cannot be made.
pub fn self_signed(name: &str) -> Certified {
    let key = key();
    let mut params = CertificateParams::new([name.to_owned()]).expect("a name");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let certificate = params.self_signed(&key).expect("a certificate");
    Certified { certificate: certificate.pem(), key: key.serialize_pem() }
}

fn key() -> KeyPair {
    KeyPair::generate().expect("a key")
}

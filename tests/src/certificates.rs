//! A certificate authority of the test's own, and what it signs.

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};

/// A certificate authority that nobody trusts until told to.
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate and its key, in PEM form.
pub struct Certified {
    /// The certificate.
    pub certificate: String,
    /// Its private key.
    pub key: String,
}

impl Authority {
    /// A new one, with a new key.
    ///
    /// # Panics
    ///
    /// When the certificate cannot be made.
    #[allow(clippy::new_without_default, reason = "each is another")]
    pub fn new() -> Self {
        let mut params = CertificateParams::default();
        // A name of its own: OpenSSL takes a certificate whose issuer has its name as self-signed.
        params.distinguished_name.push(DnType::CommonName, "the test's authority");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, key()).expect("a certificate authority"))
    }

    /// Its own certificate, in PEM form.
    pub fn certificate(&self) -> String {
        self.0.pem()
    }

    /// A certificate for a host name or address, fit for server and client.
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

fn key() -> KeyPair {
    KeyPair::generate().expect("a key")
}

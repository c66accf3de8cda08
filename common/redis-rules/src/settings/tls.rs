//! The settings of TLS, and their refusal by a client without it.

use alloc::{format, string::String};
use core::fmt;

use super::{
    error::SettingError,
    names::{self, Setting},
    read,
    source::Source,
};

const UNKNOWN: &str = "asks for TLS, which this component does not support";

/// How to speak TLS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tls {
    /// Whether the server must show a certificate that the system trusts.
    pub verify: bool,
    /// The certificate that the client shows.
    pub identity: Option<Identity>,
}

/// A certificate and its key, as PEM text.
#[derive(Clone, PartialEq, Eq)]
pub struct Identity {
    /// The certificate, and any others on the way from it to an authority.
    pub certificate: String,
    /// The private key.
    pub key: String,
}

impl Tls {
    /// Reads the settings; `None` if TLS is off.
    ///
    /// # Errors
    ///
    /// A [`SettingError`] names the first setting that cannot be read or needs another.
    pub fn read(source: &impl Source) -> Result<Option<Self>, SettingError> {
        let enabled = read::flag(source, names::ENABLE_TLS)?.is_some();
        let verify = read::flag(source, names::INSECURE_SKIP_TLS_VERIFY)?.is_none();
        let needs = |setting: &Setting, other: &Setting| SettingError {
            setting: source.name(setting),
            problem: format!("needs {}", source.name(other)),
        };
        let certificate = read::text(source, names::CLIENT_CERT);
        let key = read::text(source, names::CLIENT_KEY);
        let identity = match (certificate, key) {
            (None, None) => None,
            (Some(_), None) => return Err(needs(names::CLIENT_CERT, names::CLIENT_KEY)),
            (None, Some(_)) => return Err(needs(names::CLIENT_KEY, names::CLIENT_CERT)),
            (Some(_), Some(_)) if !enabled => {
                return Err(needs(names::CLIENT_CERT, names::ENABLE_TLS));
            }
            (Some(certificate), Some(key)) => Some(Identity { certificate, key }),
        };
        Ok(enabled.then_some(Self { verify, identity }))
    }

    /// Refuses every setting that asks for TLS: a client without it must not connect unencrypted.
    ///
    /// # Errors
    ///
    /// A [`SettingError`] names the first such setting.
    pub fn refuse(source: &impl Source) -> Result<(), SettingError> {
        let mut found = None;
        for setting in [names::ENABLE_TLS, names::INSECURE_SKIP_TLS_VERIFY] {
            found = found.or(read::flag(source, setting)?);
        }
        for setting in [names::CLIENT_CERT, names::CLIENT_KEY] {
            found = found.or(source.find(setting));
        }
        found.map_or(Ok(()), |found| Err(found.error(UNKNOWN)))
    }
}

/// Does not show certificate and key.
impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity").finish_non_exhaustive()
    }
}

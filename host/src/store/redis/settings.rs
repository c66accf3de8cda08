//! What a `lock.redis` component may set.
//!
//! Each setting's name, default and refusal is in `holdfast-redis-rules`.

use std::{fmt, thread};

use holdfast_redis_rules::settings::{self, Settings, pool::Pool};

use super::tls::{Identity, Tls};
use crate::store::properties::{Properties, SettingError};

/// The settings of a Redis store, read from a component's metadata.
///
/// | setting | default | what it does |
/// |---|---|---|
/// | `redisHost` | required | `host`, `host:port`, `[IPv6]:port` |
/// | `redisPort` | 6379 | the port where `redisHost` has none |
/// | `redisUsername`, `redisPassword` | none | the login of each connection |
/// | `redisDB` | 0 | the database |
/// | `enableTLS` | false | TLS, with the certificates that the system trusts |
/// | `insecureSkipTLSVerify` | false | takes any certificate of the server |
/// | `clientCert`, `clientKey` | none | what this client shows, as PEM text; both or neither |
/// | `redisMaxRetries`, `maxRetries` | 3 | more tries where nothing was done; -1: none |
/// | `redisMinRetryInterval` | 2 s | the first wait before another try, doubled each time |
/// | `redisMaxRetryInterval` | 512 ms | the longest such wait, also where the first is longer |
/// | `dialTimeout` | 5 s | bounds the opening of a connection, login included |
/// | `readTimeout` | 3 s | bounds the wait for a reply |
/// | `writeTimeout` | `readTimeout` | bounds the time in which the network takes nothing |
/// | `poolSize` | 10 a CPU | most sockets; each carries 256 callers at once |
/// | `poolTimeout` | `readTimeout` + 1 s | bounds the wait for a connection or for room on one |
/// | `minIdleConns` | 0 | sockets opened at the start, and kept |
/// | `maxConnAge` | never | an older socket is replaced |
/// | `idleTimeout` | 5 min | a socket idle for longer is closed, down to `minIdleConns` |
/// | `idleCheckFrequency` | 1 min | how often age and idleness are looked at; -1: never |
/// | `redeliverInterval`, `processingTimeout` | | mean nothing for a lock |
///
/// Durations are whole numbers of milliseconds or Go's form (`5s`, `1m30s`); `-1` takes the bound
/// away, or the wait. A duration or count of 0 means the default, as for daprd. Booleans are
/// those of Go. `redisType` other than `node`, `failover`, `sentinelMasterName`, `useEntraID`,
/// `useOIDC` and every `oidc…` are refused.
#[derive(Clone)]
pub struct RedisSettings {
    pub(super) common: Settings,
    pub(super) tls: Option<Tls>,
    pub(super) pool: Pool,
}

impl RedisSettings {
    /// Reads the settings; unknown ones are left to others.
    ///
    /// # Errors
    ///
    /// A [`SettingError`] names the first setting that is missing, cannot be read, contradicts
    /// another, or asks for what this version does not do: Cluster, Sentinel, and cloud identity
    /// providers.
    pub fn parse(properties: &Properties) -> Result<Self, SettingError> {
        let tls = match settings::tls::Tls::read(properties)? {
            None => None,
            Some(settings::tls::Tls { verify, identity: None }) => {
                Some(Tls { verify, identity: None })
            }
            Some(settings::tls::Tls { verify, identity: Some(identity) }) => {
                let identity = Identity::parse(&identity.certificate, &identity.key)?;
                Some(Tls { verify, identity: Some(identity) })
            }
        };
        Ok(Self {
            common: Settings::read(properties)?,
            tls,
            pool: Pool::read(properties, default_pool_size())?,
        })
    }

    /// The server's `host:port`, an IPv6 host in brackets.
    pub fn address(&self) -> String {
        self.common.address.to_string()
    }
}

impl fmt::Debug for RedisSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisSettings")
            .field("common", &self.common)
            .field("tls", &self.tls)
            .field("pool", &self.pool)
            .finish()
    }
}

/// Ten connections for each processor, as daprd has.
fn default_pool_size() -> usize {
    10 * thread::available_parallelism().map_or(1, usize::from)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn parse(settings: &[(&str, &str)]) -> Result<RedisSettings, String> {
        RedisSettings::parse(&settings.iter().copied().collect()).map_err(|e| e.to_string())
    }

    #[test]
    fn names_are_daprs_without_case() {
        let s = parse(&[
            ("REDISHOST", "h"),
            ("redisPassword", " "),
            ("maxRetries", "5"),
            ("redeliverInterval", "1s"),
            ("keyPrefix", "name"),
        ])
        .unwrap();
        assert_eq!((s.address(), s.common.retries), ("h:6379".to_owned(), 5));
        assert_eq!(s.common.password, None);
        assert_eq!(s.common.pool_timeout, Some(Duration::from_secs(4)));
        assert!(s.pool.size >= 10 && s.pool.size.is_multiple_of(10));
    }

    #[test]
    fn refuses_with_the_settings_name() {
        let no_pem = "is not a certificate in PEM form";
        for (name, value, expected) in [
            ("redisHost", " ", "redisHost is empty"),
            ("redisPort", "2", "redisPort differs from the port in redisHost"),
            ("maxRetries", "-2", "maxRetries is not a whole number, or -1 for no retries"),
            ("enabletls", "yes", "enableTLS is not true or false"),
            (
                "oidcClientID",
                "x",
                "oidcclientid asks for a cloud identity provider, which cannot be reached from here",
            ),
        ] {
            let error = parse(&[("redisHost", "h:1"), (name, value)]).unwrap_err();
            assert_eq!(error, format!("metadata property {expected}"));
        }
        let identity = [("enableTLS", "1"), ("clientCert", "x"), ("clientKey", "x")];
        let error = parse(&[&[("redisHost", "h")][..], &identity].concat()).unwrap_err();
        assert_eq!(error, format!("metadata property clientCert {no_pem}"));
    }

    #[test]
    fn shows_no_secret() {
        let s = parse(&[("redisHost", "h"), ("redisPassword", "hunter2")]).unwrap();
        assert!(!format!("{s:?}").contains("hunter2"));
    }
}

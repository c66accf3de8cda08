//! What a `lock.redis` component may set.
//!
//! Every setting's name, default and refusal lives here, and no connection is made here.

use std::{fmt, thread, time::Duration};

use super::{
    backoff::Backoff,
    duration::{self, Span},
    tls::{Identity, Tls},
};
use crate::resources::properties::{Properties, SettingError};

const DEFAULT_PORT: u16 = 6379;

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
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) db: i64,
    pub(super) username: Option<String>,
    pub(super) password: Option<String>,
    pub(super) tls: Option<Tls>,
    pub(super) retries: u32,
    pub(super) backoff: Backoff,
    pub(super) dial_timeout: Option<Duration>,
    pub(super) read_timeout: Option<Duration>,
    pub(super) write_timeout: Option<Duration>,
    pub(super) pool_size: usize,
    pub(super) pool_timeout: Option<Duration>,
    pub(super) min_idle: usize,
    pub(super) max_age: Option<Duration>,
    pub(super) idle_timeout: Option<Duration>,
    pub(super) idle_check: Option<Duration>,
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
        let read = Reader(properties);
        refuse_what_is_not_supported(&read)?;
        let (host, port) = address(&read)?;
        let read_timeout = read.bound("readTimeout", Some(Duration::from_secs(3)))?;
        let pool_size = match read.count("poolSize")? {
            0 => 10 * thread::available_parallelism().map_or(1, usize::from),
            size => size,
        };
        Ok(Self {
            host,
            port,
            db: read.db()?,
            username: read.text("redisUsername").map(str::to_owned),
            password: read.text("redisPassword").map(str::to_owned),
            tls: tls(&read)?,
            retries: read.retries()?,
            backoff: Backoff {
                // daprd gives locks two seconds here, which the longest interval then bounds.
                min: read
                    .bound("redisMinRetryInterval", Some(Duration::from_secs(2)))?
                    .unwrap_or_default(),
                max: read
                    .bound("redisMaxRetryInterval", Some(Duration::from_millis(512)))?
                    .unwrap_or_default(),
            },
            dial_timeout: read.bound("dialTimeout", Some(Duration::from_secs(5)))?,
            read_timeout,
            write_timeout: read.bound("writeTimeout", read_timeout)?,
            pool_size,
            pool_timeout: read
                .bound("poolTimeout", read_timeout.map(|read| read + Duration::from_secs(1)))?,
            min_idle: read.count("minIdleConns")?.min(pool_size),
            max_age: read.bound("maxConnAge", None)?,
            idle_timeout: read.bound("idleTimeout", Some(Duration::from_secs(300)))?,
            idle_check: read.bound("idleCheckFrequency", Some(Duration::from_secs(60)))?,
        })
    }

    /// The server's `host:port`, an IPv6 host in brackets.
    pub fn address(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }
}

impl fmt::Debug for RedisSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisSettings")
            .field("address", &self.address())
            .field("db", &self.db)
            .field("username", &self.username)
            .field("password", &self.password.as_ref().map(|_| "…"))
            .field("tls", &self.tls)
            .finish_non_exhaustive()
    }
}

fn refuse_what_is_not_supported(read: &Reader) -> Result<(), SettingError> {
    match read.text("redisType").map(str::to_lowercase).as_deref() {
        None | Some("node") => {}
        Some(kind @ ("cluster" | "sentinel")) => {
            return Err(SettingError::new(
                "redisType",
                format!("is {kind}, which is not supported yet by this version"),
            ));
        }
        Some(_) => {
            return Err(SettingError::new("redisType", "is not node, cluster or sentinel"));
        }
    }
    let sentinel = "asks for Redis Sentinel, which is not supported yet by this version";
    if read.flag("failover")? {
        return Err(SettingError::new("failover", sentinel));
    }
    if read.text("sentinelMasterName").is_some() {
        return Err(SettingError::new("sentinelMasterName", sentinel));
    }
    let cloud = "asks for a cloud identity provider, which cannot be reached from here";
    for setting in ["useEntraID", "useOIDC"] {
        if read.flag(setting)? {
            return Err(SettingError::new(setting, cloud));
        }
    }
    match read.0.names().find(|name| name.starts_with("oidc") && read.text(name).is_some()) {
        Some(setting) => Err(SettingError::new(setting, cloud)),
        None => Ok(()),
    }
}

fn address(read: &Reader) -> Result<(String, u16), SettingError> {
    let written =
        read.text("redisHost").ok_or_else(|| SettingError::new("redisHost", "is empty"))?;
    if written.contains(',') {
        return Err(SettingError::new(
            "redisHost",
            "is a list, which is for Redis Sentinel: that is not supported yet by this version",
        ));
    }
    let not_an_address = || SettingError::new("redisHost", "is not host or host:port");
    let port = |setting: &str, text: &str| {
        text.parse::<u16>()
            .ok()
            .filter(|port| *port != 0)
            .ok_or_else(|| SettingError::new(setting, "has a port that is not from 1 to 65535"))
    };
    let (host, own_port) = match written.strip_prefix('[') {
        Some(bracketed) => match bracketed.split_once(']').ok_or_else(not_an_address)? {
            (host, "") => (host, None),
            (host, rest) => (host, Some(rest.strip_prefix(':').ok_or_else(not_an_address)?)),
        },
        // More than one colon without brackets can only be an IPv6 address without a port.
        None if written.matches(':').count() > 1 => (written, None),
        None => match written.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (written, None),
        },
    };
    if host.is_empty() || host.contains(['/', '@', ' ']) {
        return Err(not_an_address());
    }
    let own_port = own_port.map(|text| port("redisHost", text)).transpose()?;
    let other_port = read.text("redisPort").map(|text| port("redisPort", text)).transpose()?;
    match (own_port, other_port) {
        (Some(own), Some(other)) if own != other => {
            Err(SettingError::new("redisPort", "differs from the port in redisHost"))
        }
        (own, other) => Ok((host.to_owned(), own.or(other).unwrap_or(DEFAULT_PORT))),
    }
}

fn tls(read: &Reader) -> Result<Option<Tls>, SettingError> {
    let enabled = read.flag("enableTLS")?;
    let skip_verify = read.flag("insecureSkipTLSVerify")?;
    let identity = match (read.text("clientCert"), read.text("clientKey")) {
        (None, None) => None,
        (Some(_), None) => return Err(SettingError::new("clientCert", "needs clientKey")),
        (None, Some(_)) => return Err(SettingError::new("clientKey", "needs clientCert")),
        (Some(_), Some(_)) if !enabled => {
            return Err(SettingError::new("clientCert", "needs enableTLS"));
        }
        (Some(certificate), Some(key)) => Some(Identity::parse(certificate, key)?),
    };
    Ok(enabled.then_some(Tls { verify: !skip_verify, identity }))
}

/// Reads single settings; an empty one is as good as absent.
struct Reader<'a>(&'a Properties);

impl<'a> Reader<'a> {
    fn text(&self, name: &str) -> Option<&'a str> {
        self.0.get(name).map(str::trim).filter(|text| !text.is_empty())
    }

    /// A boolean as Go's `ParseBool` reads it; `false` where it is absent.
    fn flag(&self, name: &str) -> Result<bool, SettingError> {
        match self.text(name) {
            None | Some("0" | "f" | "F" | "FALSE" | "false" | "False") => Ok(false),
            Some("1" | "t" | "T" | "TRUE" | "true" | "True") => Ok(true),
            Some(_) => Err(SettingError::new(name, "is not true or false")),
        }
    }

    fn bound(
        &self,
        name: &str,
        default: Option<Duration>,
    ) -> Result<Option<Duration>, SettingError> {
        match self.text(name).map(duration::parse) {
            None | Some(Some(Span::Of(Duration::ZERO))) => Ok(default),
            Some(Some(Span::Of(bound))) => Ok(Some(bound)),
            Some(Some(Span::Off)) => Ok(None),
            Some(None) => Err(SettingError::new(
                name,
                "is not a duration, such as 5s or 1m30s, or a number of milliseconds",
            )),
        }
    }

    fn count(&self, name: &str) -> Result<usize, SettingError> {
        match self.text(name).map(str::parse::<u16>) {
            None => Ok(0),
            Some(Ok(count)) => Ok(count.into()),
            Some(Err(_)) => Err(SettingError::new(name, "is not a number from 0 to 65535")),
        }
    }

    fn db(&self) -> Result<i64, SettingError> {
        match self.text("redisDB").map(str::parse::<u32>) {
            None => Ok(0),
            Some(Ok(db)) => Ok(db.into()),
            Some(Err(_)) => Err(SettingError::new("redisDB", "is not a whole number")),
        }
    }

    fn retries(&self) -> Result<u32, SettingError> {
        let (name, text) = match self.text("redisMaxRetries") {
            Some(text) => ("redisMaxRetries", Some(text)),
            None => ("maxRetries", self.text("maxRetries")),
        };
        match text.map(str::parse::<i32>) {
            None | Some(Ok(0)) => Ok(3),
            Some(Ok(-1)) => Ok(0),
            Some(Ok(retries)) if retries > 0 => Ok(retries.unsigned_abs()),
            Some(_) => Err(SettingError::new(name, "is not a whole number, or -1 for no retries")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(settings: &[(&str, &str)]) -> Result<RedisSettings, String> {
        RedisSettings::parse(&settings.iter().copied().collect()).map_err(|e| e.to_string())
    }

    fn with(name: &str, value: &str) -> Result<RedisSettings, String> {
        parse(&[("redisHost", "h:1"), (name, value)])
    }

    #[test]
    fn only_the_host_is_required() {
        for settings in [&[][..], &[("redisHost", "")], &[("redisPort", "1")]] {
            assert_eq!(
                parse(settings).err().as_deref(),
                Some("metadata property redisHost is empty")
            );
        }
    }

    #[test]
    fn defaults_are_daprds() {
        let s = parse(&[("redisHost", "h")]).unwrap();
        assert_eq!(s.address(), "h:6379");
        assert_eq!((s.db, s.retries, s.min_idle), (0, 3, 0));
        assert_eq!(s.backoff.min, Duration::from_secs(2));
        assert_eq!(s.backoff.max, Duration::from_millis(512));
        assert_eq!(s.dial_timeout, Some(Duration::from_secs(5)));
        assert_eq!(s.read_timeout, Some(Duration::from_secs(3)));
        assert_eq!(s.write_timeout, Some(Duration::from_secs(3)));
        assert_eq!(s.pool_timeout, Some(Duration::from_secs(4)));
        assert_eq!(s.max_age, None);
        assert_eq!(s.idle_timeout, Some(Duration::from_secs(300)));
        assert_eq!(s.idle_check, Some(Duration::from_secs(60)));
        assert_eq!(s.pool_size % 10, 0);
        assert!(s.pool_size > 0 && s.tls.is_none());
        assert!(s.username.is_none() && s.password.is_none());
    }

    #[test]
    fn reads_addresses() {
        for (host, port, expected) in [
            ("h", "", "h:6379"),
            ("h:1", "", "h:1"),
            ("h", "2", "h:2"),
            ("h:2", "2", "h:2"),
            ("[::1]:6379", "", "[::1]:6379"),
            ("[::1]", "7", "[::1]:7"),
            ("::1", "", "[::1]:6379"),
        ] {
            let s = parse(&[("redisHost", host), ("redisPort", port)]).unwrap();
            assert_eq!(s.address(), expected);
        }
    }

    #[test]
    fn refuses_with_the_settings_name() {
        for (name, value, expected) in [
            ("redisHost", "h:0", "redisHost has a port that is not from 1 to 65535"),
            ("redisHost", ":1", "redisHost is not host or host:port"),
            ("redisHost", "[::1", "redisHost is not host or host:port"),
            ("redisHost", "redis://h", "redisHost has a port that is not from 1 to 65535"),
            (
                "redisHost",
                "a:1,b:2",
                "redisHost is a list, which is for Redis Sentinel: that is not supported yet by this version",
            ),
            ("redisPort", "2", "redisPort differs from the port in redisHost"),
            ("redisPort", "x", "redisPort has a port that is not from 1 to 65535"),
            (
                "redisType",
                "cluster",
                "redisType is cluster, which is not supported yet by this version",
            ),
            (
                "redisType",
                "sentinel",
                "redisType is sentinel, which is not supported yet by this version",
            ),
            ("redisType", "ring", "redisType is not node, cluster or sentinel"),
            (
                "failover",
                "true",
                "failover asks for Redis Sentinel, which is not supported yet by this version",
            ),
            (
                "sentinelMasterName",
                "m",
                "sentinelMasterName asks for Redis Sentinel, which is not supported yet by this version",
            ),
            (
                "useEntraID",
                "true",
                "useEntraID asks for a cloud identity provider, which cannot be reached from here",
            ),
            (
                "useOIDC",
                "1",
                "useOIDC asks for a cloud identity provider, which cannot be reached from here",
            ),
            (
                "oidcClientID",
                "x",
                "oidcclientid asks for a cloud identity provider, which cannot be reached from here",
            ),
            ("enableTLS", "yes", "enableTLS is not true or false"),
            ("clientCert", "x", "clientCert needs clientKey"),
            ("clientKey", "x", "clientKey needs clientCert"),
            ("redisDB", "-1", "redisDB is not a whole number"),
            ("poolSize", "many", "poolSize is not a number from 0 to 65535"),
            ("maxRetries", "-2", "maxRetries is not a whole number, or -1 for no retries"),
            (
                "readTimeout",
                "soon",
                "readTimeout is not a duration, such as 5s or 1m30s, or a number of milliseconds",
            ),
        ] {
            assert_eq!(with(name, value).err(), Some(format!("metadata property {expected}")));
        }
    }

    #[test]
    fn takes_every_setting_at_its_word() {
        let s = parse(&[
            ("REDISHOST", "h"),
            ("redisType", "Node"),
            ("redisUsername", "u"),
            ("redisPassword", "p"),
            ("redisDB", "7"),
            ("maxRetries", "5"),
            ("redisMinRetryInterval", "10"),
            ("redisMaxRetryInterval", "1s"),
            ("dialTimeout", "1m30s"),
            ("readTimeout", "700"),
            ("poolSize", "4"),
            ("minIdleConns", "9"),
            ("maxConnAge", "1h"),
            ("idleTimeout", "-1"),
            ("idleCheckFrequency", "-1"),
            ("redeliverInterval", "1s"),
            ("processingTimeout", "1s"),
            ("keyPrefix", "name"),
            ("enableTLS", "T"),
            ("insecureSkipTLSVerify", "true"),
        ])
        .unwrap();
        assert_eq!((s.db, s.retries, s.pool_size, s.min_idle), (7, 5, 4, 4));
        assert_eq!(s.backoff.min, Duration::from_millis(10));
        assert_eq!(s.backoff.max, Duration::from_secs(1));
        assert_eq!(s.dial_timeout, Some(Duration::from_secs(90)));
        assert_eq!(s.write_timeout, Some(Duration::from_millis(700)));
        assert_eq!(s.pool_timeout, Some(Duration::from_millis(1700)));
        assert_eq!(s.max_age, Some(Duration::from_secs(3600)));
        assert_eq!((s.idle_timeout, s.idle_check), (None, None));
        assert!(!s.tls.unwrap().verify);
    }

    #[test]
    fn minus_one_takes_the_bound_away() {
        for name in ["redisMaxRetries", "maxRetries"] {
            assert_eq!(with(name, "-1").unwrap().retries, 0);
        }
        assert_eq!(with("readTimeout", "-1").unwrap().pool_timeout, None);
        assert_eq!(with("dialTimeout", "-1").unwrap().dial_timeout, None);
    }

    #[test]
    fn shows_no_secret() {
        let s = parse(&[("redisHost", "h"), ("redisPassword", "hunter2")]).unwrap();
        assert!(!format!("{s:?}").contains("hunter2"));
    }
}

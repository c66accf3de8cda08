//! [`RedisSettings`] from a `redis://` URL.

use std::{fmt, net::IpAddr};

use holdfast_redis_rules::address::is_host;
use redis::{IntoConnectionInfo, parse_redis_url};

use self::RedisUrlPart::{Database, Fragment, Host, Login, Port, Query, Scheme, Text};
use super::settings::RedisSettings;

/// A URL that [`RedisSettings::from_url`] cannot use. Names the part, never its text, which may be a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("Redis URL: the {part} {problem}")]
#[non_exhaustive]
pub struct RedisUrlError {
    /// The part that is wrong.
    pub part: RedisUrlPart,
    /// The problem with the part, such as "is 0".
    pub problem: &'static str,
}

/// A part of a Redis URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RedisUrlPart {
    /// The whole URL.
    Text,
    /// The text before `://`.
    Scheme,
    /// `username:password`.
    Login,
    /// The name or the address of the server.
    Host,
    /// The TCP port.
    Port,
    /// The path: the number of the database.
    Database,
    /// The text after `?`.
    Query,
    /// The text after `#`.
    Fragment,
}

impl fmt::Display for RedisUrlPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Text => "text",
            Self::Scheme => "scheme",
            Self::Login => "login",
            Self::Host => "host",
            Self::Port => "port",
            Self::Database => "database",
            Self::Query => "query",
            Self::Fragment => "fragment",
        })
    }
}

impl RedisSettings {
    /// Reads `redis://[[username]:password@]host[:port][/db]`, or `rediss://` for TLS. With TLS, the fragment
    /// `#insecure` accepts any certificate of the server. All other settings have their defaults.
    ///
    /// A login is percent-decoded. `valkey://` and `valkeys://` mean the same.
    ///
    /// ```
    /// use holdfast::store::redis::RedisSettings;
    ///
    /// let settings = RedisSettings::from_url("rediss://locker:secret@redis.example:6380/1")?.retries(0);
    /// assert_eq!(settings.address(), "redis.example:6380");
    ///
    /// let error = RedisSettings::from_url("redis://redis.example/locks").unwrap_err();
    /// assert_eq!(error.to_string(), "Redis URL: the database is not a whole number from 0");
    /// # Ok::<_, holdfast::store::redis::RedisUrlError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// A [`RedisUrlError`] names the part that cannot be used.
    pub fn from_url(url: &str) -> Result<Self, RedisUrlError> {
        let tls = is_tls(url)?;
        let Some(mut url) = parse_redis_url(url) else {
            return refuse(Text, "is not a URL, or its port is not from 1 to 65535");
        };
        check_host(url.host_str())?;
        if url.port() == Some(0) {
            return refuse(Port, "is 0");
        }
        let db = database(url.path())?;
        if url.query().is_some() {
            return refuse(Query, "is not supported");
        }
        let verify = verifies_server(url.fragment(), tls)?;
        if !url.username().is_empty() && url.password().is_none() {
            return refuse(Login, "has a user name and no password");
        }
        // The parser refuses TLS if the client library's own TLS is not compiled in.
        let renamed = url.set_scheme("redis");
        let Ok(info) = renamed.and_then(|()| url.clone().into_connection_info().map_err(drop))
        else {
            return refuse(Login, "is not UTF-8");
        };
        let (redis::ConnectionAddr::Tcp(host, port), login) = (info.addr(), info.redis_settings())
        else {
            return refuse(Scheme, "is not redis or rediss");
        };
        if !is_host(host.trim_matches(['[', ']'])) {
            return refuse(Host, "is not a host name or an IP address");
        }
        let mut settings =
            Self::new(host.as_str()).port(*port).db(db).tls(tls).verify_server(verify);
        if let Some(username) = login.username() {
            settings = settings.username(username);
        }
        if let Some(password) = login.password() {
            settings = settings.password(password);
        }
        Ok(settings)
    }
}

fn refuse<T>(part: RedisUrlPart, problem: &'static str) -> Result<T, RedisUrlError> {
    Err(RedisUrlError { part, problem })
}

/// Whether the scheme asks for TLS.
fn is_tls(url: &str) -> Result<bool, RedisUrlError> {
    match url.split_once(':') {
        Some(("redis" | "valkey", _)) => Ok(false),
        Some(("rediss" | "valkeys", _)) => Ok(true),
        Some(_) => refuse(Scheme, "is not redis or rediss"),
        None => refuse(Text, "is not a URL"),
    }
}

fn check_host(host: Option<&str>) -> Result<(), RedisUrlError> {
    let Some(host) = host.filter(|host| !host.is_empty()) else {
        return refuse(Host, "is missing");
    };
    let address = host.trim_matches(['[', ']']).parse();
    if address.is_ok_and(|address: IpAddr| address.is_unspecified()) {
        return refuse(Host, "is not an address to connect to");
    }
    Ok(())
}

/// The number of the database, which is the path.
fn database(path: &str) -> Result<u32, RedisUrlError> {
    let db = match path.trim_matches('/') {
        "" => "0",
        db => db,
    };
    db.parse().or_else(|_| refuse(Database, "is not a whole number from 0"))
}

/// Whether the server's certificate is checked.
fn verifies_server(fragment: Option<&str>, tls: bool) -> Result<bool, RedisUrlError> {
    match fragment {
        None => Ok(true),
        Some("insecure") if tls => Ok(false),
        Some(_) => refuse(Fragment, "is not supported, other than #insecure with TLS"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(url: &str) -> RedisSettings {
        RedisSettings::from_url(url).map(|settings| settings.checked().unwrap()).unwrap()
    }

    #[test]
    fn every_part_has_its_setting() {
        let s = read("redis://locker:p%40ss%2Fword@redis.example:6380/7");
        assert_eq!((s.address(), s.common.db), ("redis.example:6380".to_owned(), 7));
        assert_eq!(s.common.username.as_deref(), Some("locker"));
        assert_eq!(s.common.password.as_deref(), Some("p@ss/word"));
        assert!(s.enabled_tls().is_none());
    }

    #[test]
    fn only_the_host_is_required() {
        for (url, address) in [
            ("redis://h", "h:6379"),
            ("valkey://h/", "h:6379"),
            ("redis://127.0.0.1:1", "127.0.0.1:1"),
            ("redis://[::1]", "[::1]:6379"),
            ("redis://[::1]:2/", "[::1]:2"),
        ] {
            let s = read(url);
            assert_eq!((s.address().as_str(), s.common.db), (address, 0), "{url}");
            assert_eq!((s.common.username, s.common.password), (None, None), "{url}");
        }
        assert_eq!(read("redis://:p@h").common.password.as_deref(), Some("p"));
    }

    #[test]
    fn tls_is_a_scheme() {
        let verify = |url| read(url).enabled_tls().map(|tls| tls.verify);
        assert_eq!(verify("redis://h"), None);
        assert_eq!(verify("rediss://h"), Some(true));
        assert_eq!(verify("valkeys://h:1"), Some(true));
        assert_eq!(verify("rediss://h#insecure"), Some(false));
    }

    #[test]
    fn the_wrong_part_is_named() {
        for (url, expected) in [
            ("", "text is not a URL"),
            ("redis.example", "text is not a URL"),
            ("redis.example:6379", "scheme is not redis or rediss"),
            ("http://h", "scheme is not redis or rediss"),
            ("unix:///tmp/redis", "scheme is not redis or rediss"),
            ("redis://", "host is missing"),
            ("redis:///0", "host is missing"),
            ("redis://0.0.0.0", "host is not an address to connect to"),
            ("redis://[::]:1", "host is not an address to connect to"),
            ("redis://h=1", "host is not a host name or an IP address"),
            ("redis://h:0", "port is 0"),
            ("redis://h:65536", "text is not a URL, or its port is not from 1 to 65535"),
            ("redis://h:x", "text is not a URL, or its port is not from 1 to 65535"),
            ("redis://h/locks", "database is not a whole number from 0"),
            ("redis://h/-1", "database is not a whole number from 0"),
            ("redis://h/0?protocol=resp3", "query is not supported"),
            ("redis://h#insecure", "fragment is not supported, other than #insecure with TLS"),
            ("rediss://h#x", "fragment is not supported, other than #insecure with TLS"),
            ("redis://hunter2@h", "login has a user name and no password"),
            ("redis://u:%ff@h", "login is not UTF-8"),
            ("redis://%ff:p@h", "login is not UTF-8"),
        ] {
            let error = RedisSettings::from_url(url).unwrap_err().to_string();
            assert_eq!(error, format!("Redis URL: the {expected}"), "{url}");
        }
    }

    #[test]
    fn shows_no_secret() {
        assert!(!format!("{:?}", read("redis://u:hunter2@h")).contains("hunter2"));
    }
}

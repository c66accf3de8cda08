//! A host in another form than `host:port`: what to write in its place.

use holdfast_redis_rules::{
    address::{self, Address, DEFAULT_PORT},
    settings::{self, Source, names},
};

use crate::store::properties::{Properties, SettingError};

/// An error about the servers. If it is about a host in a known form, it says what to write.
pub(super) fn with_host_advice(
    properties: &Properties,
    error: settings::SettingError,
) -> SettingError {
    let host = properties.find(names::REDIS_HOST).filter(|host| host.name == error.setting);
    let advice = host.and_then(|host| advice(host.value, properties.is_secret(host.name)));
    match advice {
        Some(advice) => SettingError::new(error.setting, advice),
        None => properties.with_value(&error),
    }
}

/// What a host is, and what to write in its place, worded to follow the name of the setting; `None` for an unknown
/// form. Shows no more of the value than hosts and ports, because it may contain a password.
fn advice(value: &str, is_secret: bool) -> Option<String> {
    let shown = |hosts: &str| match hosts_of(hosts).filter(|_| !is_secret) {
        Some(hosts) => hosts,
        None => "its host:port".to_owned(),
    };
    let login = "the URL's user, password and database in redisUsername, redisPassword and redisDB";
    if let Some((scheme, rest)) = value.split_once("://") {
        // The user, and the text after the hosts, are not shown.
        let rest = rest.rsplit('@').next().unwrap_or_default();
        let hosts = shown(rest.split(['/', '?', '#']).next().unwrap_or_default());
        let scheme = scheme.to_ascii_lowercase();
        return Some(match scheme.as_str() {
            "redis" | "valkey" => format!("is a URL of Redis: write {hosts}, and {login}"),
            "rediss" | "valkeys" => {
                format!("is a URL of Redis with TLS: write {hosts}, true in enableTLS, and {login}")
            }
            "tcp" | "tls" | "ssl" => format!("is a URL: write {hosts}"),
            scheme if scheme.contains("sentinel") => {
                format!(
                    "is a URL of Redis Sentinel: write the sentinels, as in {hosts}, true in failover, and the \
                     master's name in sentinelMasterName"
                )
            }
            scheme if scheme.contains("cluster") => {
                format!(
                    "is a URL of a Redis Cluster: write {hosts}, cluster in redisType, and {login}"
                )
            }
            scheme if is_word_of_sockets(scheme) => UNIX.to_owned(),
            "http" | "https" => format!(
                "is a URL of {scheme}, which is not the protocol of Redis: write the host:port of a Redis server"
            ),
            _ => format!("is a URL: write only the host:port of a Redis server, and {login}"),
        });
    }
    // Clients of Redis write a socket also after a word without the slashes of a URL.
    let path = value.split_once(':').filter(|(word, _)| is_word_of_sockets(word));
    if path.map_or(value, |(_, path)| path).starts_with('/') {
        return Some(UNIX.to_owned());
    }
    if value.contains('=') {
        let hosts = shown(value.split([',', ';']).next().unwrap_or_default());
        return Some(format!(
            "is a connection string: write {hosts}, its password in redisPassword, and its ssl in enableTLS"
        ));
    }
    None
}

/// Whether a word before a path says that the path is that of a Unix domain socket.
fn is_word_of_sockets(word: &str) -> bool {
    let word = word.to_ascii_lowercase();
    word.contains("unix") || word.contains("socket")
}

const UNIX: &str = "is a Unix domain socket, which Holdfast does not connect to: write the host:port of a Redis server";

/// The hosts of a list; `None` unless every entry is a host.
fn hosts_of(list: &str) -> Option<String> {
    let one = |written: &str| {
        let (host, port) = address::split(written).ok()?;
        // A part with an equals sign is a parameter, whose value may be a password.
        let port = port.unwrap_or(DEFAULT_PORT);
        (!host.contains('=')).then(|| Address { host, port }.to_string())
    };
    let hosts: Option<Vec<_>> = list.split(',').map(one).collect();
    hosts.map(|hosts| hosts.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_error_for_a_host_in_another_form_says_what_to_write() {
        let login =
            "and the URL's user, password and database in redisUsername, redisPassword and redisDB";
        let socket = "is a Unix domain socket, which Holdfast does not connect to: write the host:port of a Redis server";
        for (host, expected) in [
            ("redis://h", format!("is a URL of Redis: write h:6379, {login}")),
            ("valkey://:hunter2@h:1/0", format!("is a URL of Redis: write h:1, {login}")),
            (
                "REDISS://user:hunter/2@h:6380/1?password=hunter2",
                format!("is a URL of Redis with TLS: write h:6380, true in enableTLS, {login}"),
            ),
            ("redis://hunter2:hunter2", format!("is a URL of Redis: write its host:port, {login}")),
            ("redis://password=hunter2", format!("is a URL of Redis: write its host:port, {login}")),
            ("redis+cluster://a:1,b:2", {
                format!("is a URL of a Redis Cluster: write a:1,b:2, cluster in redisType, {login}")
            }),
            (
                "redis-sentinel://:hunter2@a:26379,b/mymaster",
                "is a URL of Redis Sentinel: write the sentinels, as in a:26379,b:6379, true in failover, and the \
                 master's name in sentinelMasterName"
                    .into(),
            ),
            ("tcp://10.0.0.1:6379", "is a URL: write 10.0.0.1:6379".into()),
            (
                "http://h:80/x",
                "is a URL of http, which is not the protocol of Redis: write the host:port of a Redis server".into(),
            ),
            ("unix:///run/redis.sock?password=hunter2", socket.into()),
            ("redis+unix:///run/redis.sock", socket.into()),
            ("unix:///tmp/redis.sock", socket.into()),
            ("unix:/tmp/redis.sock", socket.into()),
            ("UNIX:/tmp/redis.sock?password=hunter2", socket.into()),
            ("/run/redis.sock", socket.into()),
            (
                "memcached://hunter2@h",
                format!("is a URL: write only the host:port of a Redis server, {login}"),
            ),
            (
                "h.redis.cache.windows.net:6380,password=hunter2,ssl=True,abortConnect=False",
                "is a connection string: write h.redis.cache.windows.net:6380, its password in redisPassword, and its \
                 ssl in enableTLS"
                    .into(),
            ),
            (
                "h:6379;password=hunter2",
                "is a connection string: write h:6379, its password in redisPassword, and its ssl in enableTLS"
                    .into(),
            ),
            (
                "Endpoint=h;password=hunter2",
                "is a connection string: write its host:port, its password in redisPassword, and its ssl in enableTLS"
                    .into(),
            ),
            (
                "password=hunter2,h:6380",
                "is a connection string: write its host:port, its password in redisPassword, and its ssl in enableTLS"
                    .into(),
            ),
        ] {
            let shown = |is_secret| advice(host, is_secret);
            assert_eq!(shown(false).as_deref(), Some(&*expected), "{host}");
            let hidden = shown(true).unwrap();
            assert!(!hidden.contains("h:") || hidden.contains("host:port"), "{hidden}");
        }
        for host in ["h", "h:1", "a:1,b:2", "[::1]:1", "unix:1", "unix", "h:/x"] {
            assert_eq!(advice(host, false), None);
        }
    }
}

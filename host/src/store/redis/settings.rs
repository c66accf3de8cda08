//! [`RedisSettings`], from Dapr's names or by setters.
//!
//! The meaning of Dapr's names, with their defaults and refusals, is in `holdfast-redis-rules`.

use std::{sync::Arc, thread, time::Duration};

use holdfast_redis_rules::{
    address::{self, Address, DEFAULT_PORT, is_host},
    backoff::Backoff,
    fitness::{Expected, Role},
    replicas::Guard,
    settings::{
        self, Quorum, Sentinel, Servers, Settings, default_pool_timeout, pool::Pool, servers,
    },
};

use super::{
    driver::Timeouts,
    host_advice::with_host_advice,
    membership::Member,
    tls::{Identity, PemError, Tls},
};
use crate::store::{
    identities::Identities,
    properties::{Properties, SettingError},
};

/// The settings of a Redis store.
///
/// Made [by setters](Self::new), [from a URL](Self::from_url), or [from Dapr's
/// properties](Self::parse). Debug output shows neither passwords nor keys.
///
/// | Dapr's name | setter | default | meaning |
/// |---|---|---|---|
/// | `redisHost` | [`new`](Self::new) | required | the server; as a property `host`, `host:port` or `[IPv6]:port`. With `failover` the sentinels, with commas between |
/// | `failover`, `redisType` | [`sentinel`](Self::sentinel) | false, `node` | whether Redis Sentinel names the server: `failover: true`, or the type `sentinel` |
/// | `redisType` | [`cluster`](Self::cluster) | `node` | `cluster` for a Redis Cluster, of which `redisHost` lists some nodes |
/// | `redisType`, `quorumMaxTtl` | [`quorum`](Self::quorum) | `node`, 1 min | `quorum` for independent servers, and the longest time to live of a lock in them |
/// | `sentinelMasterName` | [`sentinel`](Self::sentinel) | required with `failover` | the name of the master; without `failover` it has no effect, as for daprd |
/// | `sentinelUsername`, `sentinelPassword` | [`sentinel_login`](Self::sentinel_login) | none | the login of a connection to a sentinel |
/// | `replicasOnDisk` | [`replicas_on_disk`](Self::replicas_on_disk) | false | whether these replicas must have it on disk |
/// | `minReplicas` | [`min_replicas`](Self::min_replicas) | 0 | how many replicas must have a lock before it counts as taken |
/// | `redisPort` | [`port`](Self::port) | 6379 | the port, if `redisHost` has none |
/// | `redisUsername` | [`username`](Self::username) | none | the user that each connection logs in as |
/// | `redisPassword` | [`password`](Self::password) | none | that user's password |
/// | `redisDB` | [`db`](Self::db) | 0 | the number of the database |
/// | `enableTLS` | [`tls`](Self::tls) | false | whether to speak TLS |
/// | `insecureSkipTLSVerify` | [`verify_server`](Self::verify_server) | false | whether to accept any certificate |
/// | `clientCert`, `clientKey` | [`client_certificate`](Self::client_certificate) | none | the certificate that this client shows, and its key, as PEM text; both or neither |
/// | `redisMaxRetries`, `maxRetries` | [`retries`](Self::retries) | 3 | how many more tries a command gets after a try that did nothing; -1: none |
/// | `redisMinRetryInterval` | [`retry_interval`](Self::retry_interval) | 2 s | the first wait before another try, doubled each time |
/// | `redisMaxRetryInterval` | [`retry_interval`](Self::retry_interval) | 512 ms | the longest such wait, even if the first is longer |
/// | `dialTimeout` | [`dial_timeout`](Self::dial_timeout) | 5 s | how long opening a connection may take, login included, and how long a call waits for one, at all servers together |
/// | `readTimeout` | [`read_timeout`](Self::read_timeout) | 3 s | how long to wait for a reply |
/// | `writeTimeout` | [`write_timeout`](Self::write_timeout) | `readTimeout` | how long the network may accept nothing while a command is sent |
/// | `poolTimeout` | [`pool_timeout`](Self::pool_timeout) | `readTimeout` + 1 s | how long a call waits while all connections are full |
/// | `poolSize` | [`pool_size`](Self::pool_size) | 10 per CPU | how many connections for commands may be open; each carries 256 calls at once. One more connection to each server reports free locks |
/// | `minIdleConns` | [`min_idle`](Self::min_idle) | 0 | how many connections are opened at the start, and kept |
/// | `maxConnAge` | [`max_age`](Self::max_age) | no limit | how old a connection may get |
/// | `idleTimeout` | [`idle_timeout`](Self::idle_timeout) | 5 min | how long a connection beyond `minIdleConns` may be idle |
/// | `idleCheckFrequency` | [`idle_check`](Self::idle_check) | 1 min | how often age and idleness are checked; -1: never |
/// | | [`rejoin_after`](Self::rejoin_after) | none | how long a server takes no locks after its start |
/// | | [`check_key_prefix`](Self::check_key_prefix) | `lock\|\|holdfast-check\|\|` | the key prefix of the lock that is tried out at the start |
/// | `redeliverInterval`, `processingTimeout` and other settings of Dapr's Redis components | | | no meaning for a lock |
///
/// As properties, durations are whole numbers of milliseconds or have Go's form (`5s`, `1m30s`); `-1` is no limit, or
/// no wait. A duration or count of 0 is the default, as for daprd. Booleans have Go's forms. `useEntraID`, `useOIDC`
/// and every `oidc…` are refused.
///
/// ```
/// use std::time::Duration;
///
/// use holdfast::store::redis::RedisSettings;
///
/// let settings = RedisSettings::new("redis.example")
///     .port(6380)
///     .tls(true)
///     .username("locker")
///     .password("secret")
///     .read_timeout(Duration::from_secs(1))
///     .retries(0);
/// assert_eq!(settings.address(), "redis.example:6380");
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct RedisSettings {
    pub(super) servers: Servers,
    pub(super) common: Settings,
    tls_enabled: bool,
    tls: Tls,
    pub(super) pool: Pool,
    /// How long a server takes no locks after its start, unless it has lost none.
    pub(super) rejoin_after: Option<Duration>,
    /// The quorum node that the store is, if it is one from the start.
    pub(super) member: Option<Member>,
    /// The key prefix of the lock that is tried out at the start.
    pub(super) check_key_prefix: String,
    write_timeout_is_set: bool,
    pool_timeout_is_set: bool,
    /// The first setter that got a value that it cannot use. Reported when the settings are used, so that setters can
    /// be chained.
    mistake: Option<RedisSetterError>,
}

/// A setter of [`RedisSettings`] got a value that cannot be used. Names the setter, never the value, which may be a
/// secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("RedisSettings::{setter}: {problem}")]
#[non_exhaustive]
pub struct RedisSetterError {
    /// The setter's name, such as `port`.
    pub setter: &'static str,
    /// The problem with the value, such as "the port is 0".
    pub problem: &'static str,
}

impl RedisSettings {
    /// The defaults for a server. `host` is a name or an IP address, without port and brackets.
    pub fn new(host: impl Into<String>) -> Self {
        let address = Address { host: host.into(), port: DEFAULT_PORT };
        let one_colon = address.host.matches(':').count() == 1;
        let good = is_host(&address.host) && !one_colon;
        let settings = Self::to(Servers::One(address));
        settings.unless(good, "new", "not a host name or an IP address without a port")
    }

    /// The defaults for the master named `master`, which Redis Sentinel looks after. `sentinels` are `host:port`, at
    /// least one. They name the other sentinels.
    ///
    /// ```
    /// use holdfast::store::redis::RedisSettings;
    ///
    /// let settings = RedisSettings::sentinel("mymaster", ["s1.example:26379", "s2.example:26379"])
    ///     .password("secret")
    ///     .min_replicas(1);
    /// assert_eq!(settings.address(), "mymaster at s1.example:26379,s2.example:26379");
    /// ```
    pub fn sentinel<S: AsRef<str>>(
        master: impl Into<String>,
        sentinels: impl IntoIterator<Item = S>,
    ) -> Self {
        let (addresses, good) = addresses(sentinels);
        let master = master.into();
        let named = !master.is_empty();
        let (username, password) = (None, None);
        let sentinel = Sentinel { master, sentinels: addresses, username, password };
        Self::to(Servers::Sentinel(sentinel))
            .unless(good, "sentinel", "not a list of sentinels, each as host:port")
            .unless(named, "sentinel", "the master has no name")
    }

    /// The defaults for a Redis Cluster. `nodes` are some of its nodes as `host:port`, at least one. They name the
    /// other nodes.
    ///
    /// ```
    /// use holdfast::store::redis::RedisSettings;
    ///
    /// let settings = RedisSettings::cluster(["n1.example:6379", "n2.example:6379"]).password("secret");
    /// assert_eq!(settings.address(), "n1.example:6379,n2.example:6379");
    /// ```
    pub fn cluster<S: AsRef<str>>(nodes: impl IntoIterator<Item = S>) -> Self {
        let (nodes, good) = addresses(nodes);
        Self::to(Servers::Cluster(nodes)).unless(
            good,
            "cluster",
            "not a list of nodes, each as host:port",
        )
    }

    /// The defaults for a quorum of independent servers, each as `host:port`: an odd number, at least three.
    /// [`connect`](super::connect) makes such a store. A lock in it lasts at most a minute.
    ///
    /// ```
    /// use holdfast::store::redis::RedisSettings;
    ///
    /// let settings = RedisSettings::quorum(["a.example:6379", "b.example:6379", "c.example:6379"]);
    /// assert_eq!(settings.address(), "a.example:6379,b.example:6379,c.example:6379");
    /// ```
    pub fn quorum<S: AsRef<str>>(nodes: impl IntoIterator<Item = S>) -> Self {
        let (nodes, good) = addresses(nodes);
        let unlike = servers::unlike(&nodes).is_ok();
        Self::to(Servers::Quorum(Quorum::new(nodes)))
            .unless(good, "quorum", "not a list of servers, each as host:port")
            .unless(unlike, "quorum", "not an odd number of different servers, at least 3")
    }

    /// Reads Dapr's properties, and ignores unknown ones.
    ///
    /// ```
    /// use holdfast::store::redis::RedisSettings;
    ///
    /// let properties = [("redisHost", "redis.example:6380"), ("readTimeout", "1s")];
    /// let settings = RedisSettings::parse(&properties.into_iter().collect())?;
    /// assert_eq!(settings.address(), "redis.example:6380");
    /// # Ok::<_, holdfast::store::properties::SettingError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// A [`SettingError`] names the first property that is missing, cannot be read, contradicts another, or asks for
    /// cloud identity providers, which this version does not support.
    pub fn parse(properties: &Properties) -> Result<Self, SettingError> {
        properties.check_aliases(settings::names::ALL)?;
        // Read first, so that their mistakes are reported first.
        let with_value = |error| properties.with_value(&error);
        let servers =
            Servers::read(properties).map_err(|error| with_host_advice(properties, error));
        let servers = Self::to(servers?);
        let mut settings = Self {
            common: Settings::read(properties).map_err(with_value)?,
            pool: Pool::read(properties, default_pool_size()).map_err(with_value)?,
            ..servers
        };
        if let Some(tls) = settings::tls::Tls::read(properties).map_err(with_value)? {
            settings.tls_enabled = true;
            settings.tls.verify = tls.verify;
            if let Some(settings::tls::Identity { certificate, key }) = tls.identity {
                settings.tls.identity =
                    Some(Identity::parse(&certificate, &key).map_err(|error| match error {
                        PemError::Certificate => {
                            SettingError::new("clientCert", "is not a certificate in PEM form")
                        }
                        PemError::Key => {
                            SettingError::new("clientKey", "is not a private key in PEM form")
                        }
                    })?);
            }
        }
        settings.write_timeout_is_set = true;
        settings.pool_timeout_is_set = true;
        Ok(settings)
    }

    fn to(servers: Servers) -> Self {
        Self {
            servers,
            common: Settings::default(),
            tls_enabled: false,
            tls: Tls { verify: true, identity: None },
            pool: Pool::new(default_pool_size()),
            rejoin_after: None,
            member: None,
            check_key_prefix: "lock||holdfast-check||".to_owned(),
            write_timeout_is_set: false,
            pool_timeout_is_set: false,
            mistake: None,
        }
    }

    /// The server's TCP port, from 1 to 65535. Default: 6379.
    pub fn port(mut self, port: u16) -> Self {
        match &mut self.servers {
            Servers::One(address) => address.port = port,
            _ => {
                return self.unless(false, "port", "each of several servers has a port of its own");
            }
        }
        self.unless(port != 0, "port", "the port is 0")
    }

    /// The user and the password that a connection to a sentinel logs in with. Default: no login.
    pub fn sentinel_login(mut self, username: Option<String>, password: impl Into<String>) -> Self {
        match &mut self.servers {
            Servers::Sentinel(sentinel) => {
                sentinel.username = username;
                sentinel.password = Some(password.into());
                self
            }
            _ => self.unless(false, "sentinel_login", "there is no sentinel"),
        }
    }

    /// Whether the [replicas](Self::min_replicas), and the server itself, must have a lock in their append-only files
    /// before it counts as taken. Needs Redis 7.2 or Valkey. With `appendfsync everysec` an acquire then takes up to a
    /// second. Default: no.
    pub fn replicas_on_disk(mut self, on_disk: bool) -> Self {
        self.common.replicas_on_disk = on_disk;
        self
    }

    /// How many replicas must have a lock before it counts as taken, or as extended. Default: 0.
    ///
    /// With 1 or more, a server with replicas is accepted. Each acquire waits until that many replicas have the lock,
    /// for at most a third of [`read_timeout`](Self::read_timeout). Otherwise it fails, and the grant is given back.
    pub fn min_replicas(mut self, replicas: u32) -> Self {
        self.common.min_replicas = replicas;
        self
    }

    /// The key prefix of the lock that is taken and released at the start, to see whether locks can be taken. Set it to
    /// the prefix of the store's keys, such as `lock||shop||`, so that the start finds a user without permission for
    /// them, and not the first caller. Default: `lock||holdfast-check||`.
    pub fn check_key_prefix(mut self, prefix: impl Into<String>) -> Self {
        self.check_key_prefix = prefix.into();
        self
    }

    /// The number of the database. Default: 0.
    pub fn db(mut self, db: u32) -> Self {
        self.common.db = db;
        let of_a_cluster = matches!(self.servers, Servers::Cluster(_));
        self.unless(db == 0 || !of_a_cluster, "db", "a cluster has only the database 0")
    }

    /// The user that each connection logs in as. Without a [password](Self::password) it has no
    /// effect. Default: Redis's default user.
    pub fn username(mut self, username: impl Into<String>) -> Self {
        self.common.username = Some(username.into());
        self
    }

    /// The password that each connection logs in with. Default: no login.
    pub fn password(mut self, password: impl Into<String>) -> Self {
        self.common.password = Some(password.into());
        self
    }

    /// Whether to speak TLS. Default: no.
    pub fn tls(mut self, enabled: bool) -> Self {
        self.tls_enabled = enabled;
        self
    }

    /// With TLS: whether the server must show a certificate for its host that the system trusts.
    /// Without this check, anyone on the way can pose as the server. Default: yes.
    pub fn verify_server(mut self, verify: bool) -> Self {
        self.tls.verify = verify;
        self
    }

    /// With TLS: the certificate that this client shows, and its private key, both as PEM text.
    /// Default: none.
    pub fn client_certificate(mut self, certificate: &str, key: &str) -> Self {
        let problem = match Identity::parse(certificate, key) {
            Ok(identity) => {
                self.tls.identity = Some(identity);
                return self;
            }
            Err(PemError::Certificate) => "the certificate is not in PEM form",
            Err(PemError::Key) => "the private key is not in PEM form",
        };
        self.unless(false, "client_certificate", problem)
    }

    /// How many more tries a command gets after a try that changed nothing on the server, and for how many more
    /// attempts to connect a call waits. Default: 3.
    pub fn retries(mut self, retries: u32) -> Self {
        self.common.retries = retries;
        self
    }

    /// The waits before another try: the first is at least `min`, the next ones double, and none is
    /// longer than `max`, even if `min` is. Default: 2 s and 512 ms, daprd's for locks.
    pub fn retry_interval(mut self, min: Duration, max: Duration) -> Self {
        self.common.backoff = Backoff { min, max };
        self
    }

    /// How long opening a connection may take, including TLS and login, and how long a call waits for an open
    /// connection; `None` for no limit. Default: 5 s.
    pub fn dial_timeout(self, limit: impl Into<Option<Duration>>) -> Self {
        self.limit("dial_timeout", limit.into(), |settings, limit| {
            settings.common.dial_timeout = limit;
        })
    }

    /// How long to wait for a reply; `None` for no limit. Default: 3 s.
    pub fn read_timeout(self, limit: impl Into<Option<Duration>>) -> Self {
        self.limit("read_timeout", limit.into(), |settings, limit| {
            settings.common.read_timeout = limit;
            if !settings.write_timeout_is_set {
                settings.common.write_timeout = limit;
            }
            if !settings.pool_timeout_is_set {
                settings.common.pool_timeout = default_pool_timeout(limit);
            }
        })
    }

    /// How long the network may accept nothing while a command is sent; `None` for no limit. Default:
    /// the same as [`read_timeout`](Self::read_timeout).
    pub fn write_timeout(self, limit: impl Into<Option<Duration>>) -> Self {
        self.limit("write_timeout", limit.into(), |settings, limit| {
            settings.common.write_timeout = limit;
            settings.write_timeout_is_set = true;
        })
    }

    /// How long a call waits while all connections are full; `None` for no limit. Default: 1 s more than
    /// [`read_timeout`](Self::read_timeout).
    pub fn pool_timeout(self, limit: impl Into<Option<Duration>>) -> Self {
        self.limit("pool_timeout", limit.into(), |settings, limit| {
            settings.common.pool_timeout = limit;
            settings.pool_timeout_is_set = true;
        })
    }

    /// How many connections may be open, at least 1. Each carries 256 calls at once. Default: 10 per
    /// CPU.
    pub fn pool_size(mut self, connections: u16) -> Self {
        self.pool.size = connections.into();
        self.unless(connections != 0, "pool_size", "a pool has at least 1 connection")
    }

    /// How many connections are opened at the start and kept open, at most [`pool_size`](Self::pool_size). Default: 0.
    pub fn min_idle(mut self, connections: u16) -> Self {
        self.pool.min_idle = connections.into();
        self
    }

    /// How old a connection may get before it is replaced; `None` for no limit, the default.
    pub fn max_age(self, limit: impl Into<Option<Duration>>) -> Self {
        self.limit("max_age", limit.into(), |settings, limit| settings.common.max_age = limit)
    }

    /// How long a connection may be idle before it is closed; `None` for no limit. The last
    /// [`min_idle`](Self::min_idle) ones stay open. Default: 5 min.
    pub fn idle_timeout(self, limit: impl Into<Option<Duration>>) -> Self {
        self.limit("idle_timeout", limit.into(), |settings, limit| {
            settings.common.idle_timeout = limit;
        })
    }

    /// How often connections are checked for age and idleness; `None` for never. Default: 1 min.
    pub fn idle_check(self, interval: impl Into<Option<Duration>>) -> Self {
        self.limit("idle_check", interval.into(), |settings, interval| {
            settings.pool.idle_check = interval;
        })
    }

    /// For a node of a [quorum](crate::store::quorum): how long after its start the server takes no locks, unless it
    /// keeps an append-only file with `appendfsync always`. Each new connection asks the server for its uptime; a
    /// server that does not report it takes no locks for as long after that. The time must be the longest time to live
    /// of a lock. `None` if a restart does not matter, the default.
    pub fn rejoin_after(mut self, longest_ttl: impl Into<Option<Duration>>) -> Self {
        self.rejoin_after = longest_ttl.into();
        self
    }

    /// The server's `host:port`, with an IPv6 host in brackets. With Sentinel, the master's name and the sentinels:
    /// `mymaster at host:port,host:port`.
    pub fn address(&self) -> String {
        self.servers.to_string()
    }

    /// The settings of one server of a quorum, which goes on without a failed server. All servers share `servers`.
    pub(super) fn of_node(
        self,
        node: Address,
        longest_ttl: Duration,
        servers: Arc<Identities>,
    ) -> Self {
        let member = Member { node: node.to_string(), servers };
        let node = Self {
            servers: Servers::One(node),
            rejoin_after: Some(longest_ttl),
            member: Some(member),
            ..self
        };
        node.retries(0)
    }

    /// The expected role and database of a server.
    pub(super) fn expected(&self) -> Expected {
        let guarded = self.common.min_replicas > 0;
        let role = match &self.servers {
            Servers::One(_) if !guarded => Role::Alone,
            Servers::One(_) | Servers::Sentinel(_) => Role::Master { guarded },
            Servers::Cluster(_) => Role::ClusterMaster { guarded },
            Servers::Quorum(_) => Role::Alone,
        };
        Expected { role, db: self.common.db }
    }

    /// How many replicas must have a lock, and whether on disk.
    pub(super) fn guard(&self) -> Option<Guard> {
        let Settings { min_replicas, replicas_on_disk, read_timeout, .. } = self.common;
        Guard::new(min_replicas, replicas_on_disk, read_timeout)
    }

    /// The time limits of a connection.
    pub(super) fn timeouts(&self) -> Timeouts {
        Timeouts { reply: self.common.read_timeout, send: self.common.write_timeout }
    }

    /// The settings of TLS, if it is on.
    pub(super) fn enabled_tls(&self) -> Option<&Tls> {
        self.tls_enabled.then_some(&self.tls)
    }

    /// Reports the value that a setter could not use.
    pub(super) fn checked(mut self) -> Result<Self, RedisSetterError> {
        let guarded = !self.common.replicas_on_disk || self.common.min_replicas > 0;
        self = self.unless(guarded, "replicas_on_disk", "it needs min_replicas");
        let shown = self.tls.identity.is_none() || self.tls_enabled;
        self = self.unless(shown, "client_certificate", "a client certificate needs TLS");
        self.pool.min_idle = self.pool.min_idle.min(self.pool.size);
        self.mistake.map_or(Ok(self), Err)
    }

    fn limit(
        mut self,
        setter: &'static str,
        limit: Option<Duration>,
        set: impl FnOnce(&mut Self, Option<Duration>),
    ) -> Self {
        set(&mut self, limit);
        self.unless(limit != Some(Duration::ZERO), setter, "the duration is 0")
    }

    /// Notes a mistake unless the value is good.
    fn unless(mut self, good: bool, setter: &'static str, problem: &'static str) -> Self {
        if !good {
            self.mistake.get_or_insert(RedisSetterError { setter, problem });
        }
        self
    }
}

/// The addresses of a list, and whether every entry is an address.
fn addresses<S: AsRef<str>>(list: impl IntoIterator<Item = S>) -> (Vec<Address>, bool) {
    let (mut addresses, mut good) = (Vec::new(), true);
    for written in list {
        match address::split(written.as_ref()) {
            Ok((host, Some(port))) => addresses.push(Address { host, port }),
            _ => good = false,
        }
    }
    good &= !addresses.is_empty();
    (addresses, good)
}

/// Ten connections for each processor, as daprd has.
pub(crate) fn default_pool_size() -> usize {
    10 * thread::available_parallelism().map_or(1, usize::from)
}

#[cfg(test)]
mod tests {
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
        for (name, value, expected) in [
            ("redisHost", " ", "redisHost is empty"),
            ("redisPort", "2", "redisPort differs from the port in redisHost: \"2\""),
            ("maxRetries", "-2", "maxRetries is not a whole number, or -1 for no retries: \"-2\""),
            ("enabletls", "yes", "enableTLS is not true or false: \"yes\""),
            (
                "oidcClientID",
                "x",
                "oidcClientID asks for a cloud identity provider, which this version does not support",
            ),
        ] {
            let error = parse(&[("redisHost", "h:1"), (name, value)]).unwrap_err();
            assert_eq!(error, format!("metadata property {expected}"));
        }
        let identity = [("enableTLS", "1"), ("clientCert", "x"), ("clientKey", "x")];
        let error = parse(&[&[("redisHost", "h")][..], &identity].concat()).unwrap_err();
        assert_eq!(error, "metadata property clientCert is not a certificate in PEM form");
    }

    #[test]
    fn a_value_is_shown_in_part_and_a_secret_is_not() {
        let mut properties: Properties =
            [("redisHost", "h"), ("dialTimeout", &*"x\n".repeat(40))].into_iter().collect();
        let problem =
            |properties: &Properties| RedisSettings::parse(properties).unwrap_err().problem;
        let kind = "is not a duration, such as 5s or 1m30s, or a number of milliseconds";
        let shown = format!("{kind}: \"{}\"…", "x\\n".repeat(30));
        assert_eq!(problem(&properties), shown);
        properties.insert_secret("dialTimeout", "hunter2");
        assert_eq!(problem(&properties), kind);
        for name in
            ["redisPassword", "SentinelPassword", "clientKey", "clientCert", "oidcClientSecret"]
        {
            let properties: Properties = [(name, "hunter2")].into_iter().collect();
            assert_eq!(properties.wrong(name, "is wrong").problem, "is wrong");
        }
        for host in ["user:hunter2@h", "hunter2@h", "a,hunter2@b"] {
            let host = [("redisHost", host), ("failover", "1"), ("sentinelMasterName", "m")];
            assert!(!parse(&host).unwrap_err().contains("hunter2"));
        }
    }

    #[test]
    fn two_names_of_one_setting_must_agree() {
        let both =
            |other| parse(&[("redisHost", "h"), ("redisMaxRetries", "5"), ("MAXRETRIES", other)]);
        assert_eq!(both(" 5").map(|settings| settings.common.retries), Ok(5));
        let expected = "metadata property maxRetries differs from redisMaxRetries, which is another name of the same setting";
        assert_eq!(both("6").map(drop), Err(expected.to_owned()));
    }

    #[test]
    fn setters_have_daprs_defaults() {
        let made = RedisSettings::new("h").checked().unwrap();
        let parsed = parse(&[("redisHost", "h")]).unwrap();
        assert_eq!(
            (made.servers, made.common, made.pool),
            (parsed.servers, parsed.common, parsed.pool)
        );
        assert!(made.tls.verify && !made.tls_enabled);
    }

    #[test]
    fn every_setter_sets_its_setting() {
        let ms = Duration::from_millis;
        let s = RedisSettings::new("::1")
            .port(1)
            .db(2)
            .username("u")
            .password("p")
            .tls(true)
            .verify_server(false)
            .retries(3)
            .retry_interval(ms(4), ms(5))
            .dial_timeout(ms(6))
            .read_timeout(ms(7))
            .write_timeout(ms(8))
            .pool_timeout(ms(9))
            .pool_size(10)
            .min_idle(11)
            .max_age(ms(12))
            .idle_timeout(ms(13))
            .idle_check(None)
            .rejoin_after(ms(14))
            .checked()
            .unwrap();
        assert_eq!((s.address(), s.common.db), ("[::1]:1".to_owned(), 2));
        assert_eq!(s.common.username.as_deref(), Some("u"));
        assert_eq!(s.common.password.as_deref(), Some("p"));
        assert!(s.enabled_tls().is_some_and(|tls| !tls.verify));
        assert_eq!(s.common.retries, 3);
        assert_eq!((s.common.backoff.min, s.common.backoff.max), (ms(4), ms(5)));
        assert_eq!(s.common.dial_timeout, Some(ms(6)));
        assert_eq!(s.common.read_timeout, Some(ms(7)));
        assert_eq!(s.common.write_timeout, Some(ms(8)));
        assert_eq!(s.common.pool_timeout, Some(ms(9)));
        assert_eq!(s.pool, Pool { size: 10, min_idle: 10, idle_check: None });
        assert_eq!(s.common.max_age, Some(ms(12)));
        assert_eq!(s.common.idle_timeout, Some(ms(13)));
        assert_eq!(s.rejoin_after, Some(ms(14)));
    }

    #[test]
    fn the_read_timeout_is_the_others_default_in_any_order() {
        let minute = Duration::from_secs(60);
        for s in [
            RedisSettings::new("h").read_timeout(minute).write_timeout(None),
            RedisSettings::new("h").write_timeout(None).read_timeout(minute),
        ] {
            assert_eq!(s.common.write_timeout, None);
            assert_eq!(s.common.pool_timeout, Some(Duration::from_secs(61)));
        }
        let unbounded = RedisSettings::new("h").read_timeout(None);
        assert_eq!(unbounded.common.pool_timeout, None);
    }

    #[test]
    fn the_first_setter_that_went_wrong_is_named() {
        let new = || RedisSettings::new("h");
        let no_host = "not a host name or an IP address without a port";
        let zero = Duration::ZERO;
        for (settings, expected) in [
            (RedisSettings::new(""), format!("new: {no_host}")),
            (RedisSettings::new("h:1"), format!("new: {no_host}")),
            (RedisSettings::new("[::1]"), format!("new: {no_host}")),
            (RedisSettings::new("redis://h"), format!("new: {no_host}")),
            (RedisSettings::new("h/0").port(0), format!("new: {no_host}")),
            (new().port(0), "port: the port is 0".to_owned()),
            (new().pool_size(0), "pool_size: a pool has at least 1 connection".to_owned()),
            (new().dial_timeout(zero), "dial_timeout: the duration is 0".to_owned()),
            (new().read_timeout(zero), "read_timeout: the duration is 0".to_owned()),
            (new().write_timeout(zero), "write_timeout: the duration is 0".to_owned()),
            (new().pool_timeout(zero), "pool_timeout: the duration is 0".to_owned()),
            (new().max_age(zero), "max_age: the duration is 0".to_owned()),
            (new().idle_timeout(zero), "idle_timeout: the duration is 0".to_owned()),
            (new().idle_check(zero), "idle_check: the duration is 0".to_owned()),
            (
                new().tls(true).client_certificate("hunter2", "hunter2"),
                "client_certificate: the certificate is not in PEM form".to_owned(),
            ),
        ] {
            let error = settings.checked().unwrap_err().to_string();
            assert_eq!(error, format!("RedisSettings::{expected}"));
        }
    }

    #[test]
    fn shows_no_secret() {
        let s = parse(&[("redisHost", "h"), ("redisPassword", "hunter2")]).unwrap();
        assert!(!format!("{s:?}").contains("hunter2"));
        let s =
            RedisSettings::new("h").password("hunter2").client_certificate("hunter2", "hunter2");
        assert!(!format!("{s:?}").contains("hunter2"));
    }
}

//! The settings as both sources spell them.

use alloc::{format, string::String, vec::Vec};
use core::time::Duration;

use super::{
    Found, Servers, SettingError, Settings, Source,
    names::{self, Setting},
    pool::Pool,
    tls::Tls,
};
use crate::address::Address;

/// Which of a setting's names a test uses.
#[derive(Clone, Copy)]
enum Spelling {
    Dapr,
    Environment,
}

const SPELLINGS: [Spelling; 2] = [Spelling::Dapr, Spelling::Environment];

struct Set<'a> {
    spelling: Spelling,
    /// Names and values.
    settings: &'a [(&'static str, &'a str)],
}

impl Source for Set<'_> {
    const MISSING: &'static str = "is missing";

    fn find(&self, setting: &Setting) -> Option<Found<'_>> {
        let find = |name: &str| {
            let (name, value) = self.settings.iter().find(|(set, _)| *set == name)?;
            Some(Found { name, value }).filter(|found| !found.value.is_empty())
        };
        match self.spelling {
            Spelling::Dapr => setting.dapr.iter().find_map(|name| find(name)),
            Spelling::Environment => find(setting.variable),
        }
    }

    fn find_by_start(&self, start: &Setting) -> Option<Found<'_>> {
        let start = self.spelling.of(start);
        let (name, value) = self.settings.iter().find(|(name, _)| name.starts_with(start))?;
        Some(Found { name, value })
    }

    fn name(&self, setting: &Setting) -> String {
        self.spelling.of(setting).into()
    }
}

impl Spelling {
    fn of(self, setting: &Setting) -> &'static str {
        match self {
            Self::Dapr => setting.dapr.first().copied().unwrap_or_default(),
            Self::Environment => setting.variable,
        }
    }

    /// Reads all settings.
    fn read_all(
        self,
        settings: &[(&Setting, &str)],
    ) -> Result<(Servers, Settings, Pool, Option<Tls>), SettingError> {
        let settings: Vec<_> =
            settings.iter().map(|(setting, value)| (self.of(setting), *value)).collect();
        let source = Set { spelling: self, settings: &settings };
        let servers = Servers::read(&source)?;
        let tls = Tls::read(&source)?;
        Ok((servers, Settings::read(&source)?, Pool::read(&source, 20)?, tls))
    }

    fn read(self, settings: &[(&Setting, &str)]) -> Result<Settings, SettingError> {
        Ok(self.read_all(settings)?.1)
    }

    fn servers(self, settings: &[(&Setting, &str)]) -> Result<Servers, SettingError> {
        Ok(self.read_all(settings)?.0)
    }

    /// Reads the server for a client that knows one only.
    fn one(self, settings: &[(&'static Setting, &str)]) -> Result<Address, SettingError> {
        let settings: Vec<_> =
            settings.iter().map(|(setting, value)| (self.of(setting), *value)).collect();
        Servers::read_one(&Set { spelling: self, settings: &settings })
    }
}

#[test]
fn only_the_host_is_required() {
    for spelling in SPELLINGS {
        for settings in [&[][..], &[(names::REDIS_HOST, "")], &[(names::REDIS_PORT, "1")]] {
            let error = spelling.servers(settings).unwrap_err();
            let expected = format!("{} is missing", spelling.of(names::REDIS_HOST));
            assert_eq!(format!("{error}"), expected);
        }
    }
}

#[test]
fn defaults_are_daprds() {
    for spelling in SPELLINGS {
        let (servers, s, pool, tls) = spelling.read_all(&[(names::REDIS_HOST, "h")]).unwrap();
        assert_eq!(format!("{servers}"), "h:6379");
        assert_eq!((s.db, s.retries), (0, 3));
        assert_eq!(s.backoff.min, Duration::from_secs(2));
        assert_eq!(s.backoff.max, Duration::from_millis(512));
        assert_eq!(s.dial_timeout, Some(Duration::from_secs(5)));
        assert_eq!(s.read_timeout, Some(Duration::from_secs(3)));
        assert_eq!(s.write_timeout, Some(Duration::from_secs(3)));
        assert_eq!(s.pool_timeout, Some(Duration::from_secs(4)));
        assert_eq!(s.max_age, None);
        assert_eq!(s.idle_timeout, Some(Duration::from_secs(300)));
        assert_eq!(s, Settings::default());
        let minute = Some(Duration::from_secs(60));
        assert_eq!(pool, Pool { size: 20, min_idle: 0, idle_check: minute });
        assert_eq!(tls, None);
    }
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
        for spelling in SPELLINGS {
            let settings = [(names::REDIS_HOST, host), (names::REDIS_PORT, port)];
            assert_eq!(format!("{}", spelling.servers(&settings).unwrap()), expected);
            assert_eq!(format!("{}", spelling.one(&settings).unwrap()), expected);
        }
    }
}

#[test]
fn refuses_with_the_settings_name() {
    let port = "has a port that is not from 1 to 65535";
    let cloud = "asks for a cloud identity provider, which this version does not support";
    let duration = "is not a duration, such as 5s or 1m30s, or a number of milliseconds";
    let retries = "is not a whole number, or -1 for no retries";
    let flag = "is not true or false";
    for (setting, value, problem) in [
        (names::REDIS_PORT, "x", port),
        (names::REDIS_TYPE, "ring", "is not node, sentinel, cluster or quorum"),
        (names::FAILOVER, "yes", flag),
        (names::MIN_REPLICAS, "-1", "is not a whole number from 0"),
        (names::USE_ENTRA_ID, "true", cloud),
        (names::USE_OIDC, "1", cloud),
        (names::OIDC_, "x", cloud),
        (names::ENABLE_TLS, "yes", flag),
        (names::INSECURE_SKIP_TLS_VERIFY, "2", flag),
        (names::REDIS_DB, "-1", "is not a whole number from 0"),
        (names::POOL_SIZE, "many", "is not a number from 0 to 65535"),
        (names::MIN_IDLE_CONNS, "65536", "is not a number from 0 to 65535"),
        (names::MAX_RETRIES, "-2", retries),
        (names::MAX_RETRIES, "few", retries),
        (names::READ_TIMEOUT, "soon", duration),
        (names::DIAL_TIMEOUT, "-5s", duration),
        (names::IDLE_CHECK_FREQUENCY, "5d", duration),
    ] {
        for spelling in SPELLINGS {
            let error = spelling.read_all(&[(names::REDIS_HOST, "h:1"), (setting, value)]);
            let expected = format!("{} {problem}", spelling.of(setting));
            assert_eq!(format!("{}", error.unwrap_err()), expected);
        }
    }
    for (host, problem) in [
        ("h:0", port),
        (":1", "is not host or host:port"),
        ("[::1", "is not host or host:port"),
        ("rediss://user:hunter2@h:6380/1", "is a URL: write only the host:port of a Redis server"),
        (
            "h.redis.cache.windows.net:6380,password=hunter2,ssl=True,abortConnect=False",
            "is a connection string: write only the host:port of a Redis server",
        ),
        (
            "a:1,b:2",
            "is a list: that needs failover (for Redis Sentinel), or redisType cluster or quorum",
        ),
    ] {
        for spelling in SPELLINGS {
            let error = spelling.servers(&[(names::REDIS_HOST, host)]).unwrap_err();
            assert_eq!(error.problem, problem);
        }
    }
}

#[test]
fn servers_may_belong_together() {
    let host = |list| (names::REDIS_HOST, list);
    let failover = (names::FAILOVER, "true");
    let master = (names::SENTINEL_MASTER_NAME, "m");
    let kind = |kind| (names::REDIS_TYPE, kind);
    for (settings, expected) in [
        (&[host("h"), failover, master][..], "m at h:6379"),
        (&[host("h:1, [::1]:2,h"), failover, master], "m at h:1,[::1]:2,h:6379"),
        (&[host("a,b"), kind("Sentinel"), master, (names::REDIS_PORT, "7")], "m at a:7,b:7"),
        (&[host("a:1"), kind("node"), failover, master], "m at a:1"),
        (&[host("a:1"), kind("node"), (names::FAILOVER, "false")], "a:1"),
        (&[host("a:1,b:2"), kind("cluster")], "a:1,b:2"),
        (&[host("a:1"), kind("CLUSTER"), (names::REDIS_DB, "0")], "a:1"),
        (&[host("a,b,c"), kind("quorum")], "a:6379,b:6379,c:6379"),
    ] {
        for spelling in SPELLINGS {
            assert_eq!(format!("{}", spelling.servers(settings).unwrap()), expected);
        }
    }
    let quorum = |ttl| {
        let ttl = (names::QUORUM_MAX_TTL, ttl);
        Spelling::Dapr.servers(&[host("a,b,c"), kind("quorum"), ttl])
    };
    for (ttl, expected) in [("", 60), ("0", 60), ("5m", 300)] {
        let Ok(Servers::Quorum(quorum)) = quorum(ttl) else { panic!("{ttl}") };
        assert_eq!(quorum.longest_ttl, Duration::from_secs(expected));
    }
    let error = format!("{}", quorum("-1").unwrap_err());
    assert!(error.starts_with("quorumMaxTtl must have a limit: "), "{error}");
    let logins = [(names::SENTINEL_USERNAME, "u"), (names::SENTINEL_PASSWORD, "hunter2")];
    let settings = [&[host("h"), failover, master][..], &logins].concat();
    let servers = Spelling::Dapr.servers(&settings).unwrap();
    assert!(!format!("{servers:?}").contains("hunter2"));
    let Servers::Sentinel(sentinel) = servers else { panic!("{servers:?}") };
    assert_eq!(sentinel.username.as_deref(), Some("u"));
    assert_eq!(sentinel.password.as_deref(), Some("hunter2"));
}

#[test]
fn servers_that_cannot_belong_together_are_refused() {
    let three = (names::REDIS_HOST, "a,b,c");
    let master = (names::SENTINEL_MASTER_NAME, "m");
    let kind = |kind| (names::REDIS_TYPE, kind);
    for (settings, expected) in [
        (&[three, (names::FAILOVER, "1")][..], "sentinelMasterName is missing"),
        (&[three, kind("sentinel")], "sentinelMasterName is missing"),
        (&[three, master, kind("cluster")], "sentinelMasterName needs redisType to be sentinel"),
        (&[three, (names::FAILOVER, "1"), kind("cluster")], "failover differs from redisType"),
        (&[three, (names::FAILOVER, "1"), kind("quorum")], "failover differs from redisType"),
        (
            &[three, kind("cluster"), (names::REDIS_DB, "2")],
            "redisDB is not 0, the only database of a Redis Cluster",
        ),
        (
            &[(names::REDIS_HOST, "a"), kind("quorum")],
            "redisHost has 1 servers: a quorum needs an odd number, at least 3",
        ),
        (
            &[(names::REDIS_HOST, "a,b,c,d"), kind("quorum")],
            "redisHost has 4 servers: a quorum needs an odd number, at least 3",
        ),
        (&[(names::REDIS_HOST, "a,b,a:6379"), kind("quorum")], "redisHost has a:6379 twice"),
        (&[(names::REDIS_HOST, "a,,c"), kind("cluster")], "redisHost is not host or host:port"),
        (&[(names::REDIS_HOST, "a,b,A"), kind("quorum")], "redisHost has A:6379 twice"),
        (
            &[(names::REDIS_HOST, "a"), (names::QUORUM_MAX_TTL, "1s")],
            "quorumMaxTtl needs redisType to be quorum",
        ),
    ] {
        let error = Spelling::Dapr.servers(settings).unwrap_err();
        assert_eq!(format!("{error}"), expected);
    }
}

#[test]
fn a_client_of_one_server_refuses_more_by_name() {
    let kind = |kind| (names::REDIS_TYPE, kind);
    for (settings, expected) in [
        (&[kind("cluster")][..], "redisType asks for Redis Cluster"),
        (&[kind("sentinel")], "redisType asks for Redis Sentinel"),
        (&[kind("quorum")], "redisType asks for a quorum"),
        (&[(names::FAILOVER, "true"), kind("node")], "failover asks for Redis Sentinel"),
        (&[(names::MIN_REPLICAS, "1")], "minReplicas asks for replicas"),
    ] {
        let settings = [&[(names::REDIS_HOST, "a,b,c")], settings].concat();
        let error = Spelling::Dapr.one(&settings).unwrap_err();
        assert_eq!(
            format!("{error}"),
            format!("{expected}, which this component does not support")
        );
    }
    let master = (names::SENTINEL_MASTER_NAME, "m");
    let one = [(names::REDIS_HOST, "h"), (names::MIN_REPLICAS, "0"), kind("node"), master];
    assert!(Spelling::Dapr.one(&one).is_ok());
}

#[test]
fn an_error_about_two_settings_names_both() {
    for (set, with, needs) in [
        (names::REDIS_PORT, names::REDIS_HOST, "differs from the port in"),
        (names::CLIENT_CERT, names::CLIENT_KEY, "needs"),
        (names::CLIENT_KEY, names::CLIENT_CERT, "needs"),
    ] {
        for spelling in SPELLINGS {
            let error = spelling.read_all(&[(names::REDIS_HOST, "h:1"), (set, "2")]).unwrap_err();
            let more = if with.variable == "FAILOVER" { " to be true" } else { "" };
            let expected = format!("{} {needs} {}{more}", spelling.of(set), spelling.of(with));
            assert_eq!(format!("{error}"), expected);
        }
    }
    let identity = [(names::CLIENT_CERT, "c"), (names::CLIENT_KEY, "k")];
    let settings = [&[(names::REDIS_HOST, "h")][..], &identity].concat();
    let error = Spelling::Dapr.read_all(&settings).unwrap_err();
    assert_eq!(format!("{error}"), "clientCert needs enableTLS");
    let settings = [(names::REDIS_HOST, "h"), (names::REPLICAS_ON_DISK, "true")];
    let error = Spelling::Dapr.read(&settings).unwrap_err();
    assert_eq!(format!("{error}"), "replicasOnDisk needs minReplicas");
}

#[test]
fn takes_every_setting_at_its_word() {
    for spelling in SPELLINGS {
        let (_, s, pool, tls) = spelling
            .read_all(&[
                (names::REDIS_HOST, "h"),
                (names::REDIS_TYPE, "Node"),
                (names::REDIS_USERNAME, "u"),
                (names::REDIS_PASSWORD, "p"),
                (names::REDIS_DB, "7"),
                (names::MIN_REPLICAS, "2"),
                (names::REPLICAS_ON_DISK, "true"),
                (names::MAX_RETRIES, "5"),
                (names::REDIS_MIN_RETRY_INTERVAL, "10"),
                (names::REDIS_MAX_RETRY_INTERVAL, "1s"),
                (names::DIAL_TIMEOUT, "1m30s"),
                (names::READ_TIMEOUT, "700"),
                (names::POOL_SIZE, "4"),
                (names::MIN_IDLE_CONNS, "9"),
                (names::MAX_CONN_AGE, "1h"),
                (names::IDLE_TIMEOUT, "-1"),
                (names::IDLE_CHECK_FREQUENCY, "-1"),
                (names::ENABLE_TLS, "T"),
                (names::INSECURE_SKIP_TLS_VERIFY, "true"),
            ])
            .unwrap();
        assert_eq!((s.username.as_deref(), s.password.as_deref()), (Some("u"), Some("p")));
        assert_eq!((s.db, s.retries, s.min_replicas), (7, 5, 2));
        assert!(s.replicas_on_disk);
        assert_eq!(s.backoff.min, Duration::from_millis(10));
        assert_eq!(s.backoff.max, Duration::from_secs(1));
        assert_eq!(s.dial_timeout, Some(Duration::from_secs(90)));
        assert_eq!(s.write_timeout, Some(Duration::from_millis(700)));
        assert_eq!(s.pool_timeout, Some(Duration::from_millis(1700)));
        assert_eq!(s.max_age, Some(Duration::from_secs(3600)));
        assert_eq!(s.idle_timeout, None);
        assert_eq!(pool, Pool { size: 4, min_idle: 4, idle_check: None });
        assert_eq!(tls, Some(Tls { verify: false, identity: None }));
    }
}

#[test]
fn minus_one_takes_the_limit_away() {
    let with = |setting| Spelling::Dapr.read(&[(names::REDIS_HOST, "h"), (setting, "-1")]).unwrap();
    assert_eq!(with(names::MAX_RETRIES).retries, 0);
    assert_eq!(with(names::READ_TIMEOUT).pool_timeout, None);
    assert_eq!(with(names::DIAL_TIMEOUT).dial_timeout, None);
}

#[test]
fn zero_is_the_default() {
    let with = |setting| Spelling::Dapr.read(&[(names::REDIS_HOST, "h"), (setting, "0")]).unwrap();
    assert_eq!(with(names::READ_TIMEOUT).read_timeout, Some(Duration::from_secs(3)));
    assert_eq!(with(names::MAX_RETRIES).retries, 3);
}

#[test]
fn the_first_of_two_names_counts() {
    let read = |settings: &[(&'static str, &str)]| {
        Settings::read(&Set { spelling: Spelling::Dapr, settings })
    };
    let host = ("redisHost", "h");
    assert_eq!(read(&[host, ("maxRetries", "5")]).unwrap().retries, 5);
    let both = [host, ("maxRetries", "5"), ("redisMaxRetries", "6")];
    assert_eq!(read(&both).unwrap().retries, 6);
    let error = read(&[host, ("maxRetries", "few")]).unwrap_err();
    assert_eq!(error.setting, "maxRetries");
}

#[test]
fn a_client_without_tls_refuses_what_asks_for_it() {
    let refuse = |setting: &Setting, value| {
        let settings = [(setting.variable, value)];
        Tls::refuse(&Set { spelling: Spelling::Environment, settings: &settings })
    };
    for (setting, value) in [
        (names::ENABLE_TLS, "true"),
        (names::INSECURE_SKIP_TLS_VERIFY, "T"),
        (names::CLIENT_CERT, "x"),
        (names::CLIENT_KEY, "x"),
    ] {
        let error = refuse(setting, value).unwrap_err();
        let expected =
            format!("{} asks for TLS, which this component does not support", setting.variable);
        assert_eq!(format!("{error}"), expected);
    }
    assert_eq!(refuse(names::ENABLE_TLS, "false"), Ok(()));
    assert!(refuse(names::ENABLE_TLS, "yes").is_err());
}

#[test]
fn shows_no_secret() {
    let settings = [(names::REDIS_HOST, "h"), (names::REDIS_PASSWORD, "hunter2")];
    assert!(!format!("{:?}", Spelling::Dapr.read(&settings).unwrap()).contains("hunter2"));
    let identity = [(names::CLIENT_CERT, "hunter2"), (names::CLIENT_KEY, "hunter2")];
    let settings =
        [&[(names::REDIS_HOST, "h"), (names::ENABLE_TLS, "true")][..], &identity].concat();
    let (_, _, _, tls) = Spelling::Dapr.read_all(&settings).unwrap();
    assert!(tls.as_ref().is_some_and(|tls| tls.identity.is_some()));
    assert!(!format!("{tls:?}").contains("hunter2"));
}

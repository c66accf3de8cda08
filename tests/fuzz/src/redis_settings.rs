//! The settings of a Redis store, and its address.

use std::time::Duration;

use holdfast::store::{properties::Properties, redis::RedisSettings};
use holdfast_redis_rules::{
    address::{self, Address},
    login::{Login, LoginNames},
    reply::Reply,
    resp,
    settings::{Quorum, Servers, SettingError, Settings, pool::Pool, tls::Tls},
};

/// The end of each value, by which a leaked value is found.
const MARK: &str = "-marked-5c0e";

/// The size of the pool where none is set.
const POOL_SIZE: usize = 20;

/// Reads the input as settings, `NAME=VALUE` one a line, and as an address and a URL.
pub fn run(input: &[u8]) {
    let text = &*String::from_utf8_lossy(input);
    let lines = || text.lines().filter_map(|line| line.split_once('='));
    are_settings(&lines().collect());
    let marked = || lines().map(|(name, value)| (name, format!("{value}{MARK}")));
    are_not_shown(&marked().collect());
    let mut secrets = Properties::default();
    marked().for_each(|(name, value)| secrets.insert_secret(name, value));
    if let Err(error) = RedisSettings::parse(&secrets) {
        assert!(!error.to_string().contains(MARK), "a secret in: {error}");
    }
    if let Ok((host, port)) = address::split(text) {
        comes_back(&Address { host, port: port.unwrap_or(address::DEFAULT_PORT) });
    }
    match RedisSettings::from_url(text) {
        Ok(settings) => assert!(address::split(&settings.address()).is_ok(), "{settings:?}"),
        Err(error) => drop(error.to_string()),
    }
}

/// Settings that were read can be used as they are.
fn are_settings(properties: &Properties) {
    let read = read(properties);
    let whole = RedisSettings::parse(properties);
    // Only `RedisSettings::parse` refuses two names of one setting with different values.
    if whole.as_ref().is_err_and(|error| error.problem.contains("another name of the same setting"))
    {
        return;
    }
    let Ok((servers, settings, pool, tls)) = read else {
        // `RedisSettings::parse` adds to the error the right form, or the text that was written.
        assert_eq!(
            whole.map_err(|error| error.setting).err(),
            read.map_err(|error| error.setting).err()
        );
        return;
    };
    match &servers {
        Servers::One(address) => comes_back(address),
        Servers::Sentinel(sentinel) => sentinel.sentinels.iter().for_each(comes_back),
        Servers::Cluster(nodes) | Servers::Quorum(Quorum { nodes, .. }) => {
            nodes.iter().for_each(comes_back);
        }
    }
    // Only `RedisSettings::parse` refuses an invalid certificate.
    let has_identity = tls.is_some_and(|tls| tls.identity.is_some());
    assert!(has_identity || whole.is_ok_and(|it| it.address() == servers.to_string()));
    let limits = [
        settings.dial_timeout,
        settings.read_timeout,
        settings.write_timeout,
        settings.pool_timeout,
        settings.max_age,
        settings.idle_timeout,
        pool.idle_check,
    ];
    assert!(!limits.contains(&Some(Duration::ZERO)), "a limit of nothing");
    for failures in [1, 2, u32::MAX] {
        assert!(settings.backoff.after(failures, u64::MAX) <= settings.backoff.max);
    }
    assert!(pool.size > 0 && pool.min_idle <= pool.size);
    logs_in(&settings);
}

fn read(properties: &Properties) -> Result<(Servers, Settings, Pool, Option<Tls>), SettingError> {
    let servers = Servers::read(properties)?;
    let settings = Settings::read(properties)?;
    let pool = Pool::read(properties, POOL_SIZE)?;
    let tls = Tls::read(properties)?;
    // A client without TLS refuses each setting of it.
    assert!(tls.is_none() || Tls::refuse(properties).is_err());
    Ok((servers, settings, pool, tls))
}

/// An address is written so that it is read as it was.
fn comes_back(address: &Address) {
    let written = address.to_string();
    let expected = Ok((address.host.clone(), Some(address.port)));
    assert_eq!(address::split(&written), expected, "{written}");
    assert_ne!(address.port, 0);
}

/// The commands of the login are sent as they are.
fn logs_in(settings: &Settings) {
    let login = Login::new(settings, LoginNames::DAPR);
    let authentication = login.authentication().map(Vec::from);
    for words in authentication.into_iter().chain(login.commands()) {
        let mut sent = Vec::new();
        resp::push(&mut sent, &words);
        let texts = words.iter().map(ToString::to_string).collect();
        assert_eq!(resp::reply(&sent), Ok(Some((Reply::Texts(texts), sent.len()))));
    }
}

/// No error contains a value, which may be a secret, and no password is shown.
fn are_not_shown(properties: &Properties) {
    let errors = [
        Settings::read(properties).err(),
        Pool::read(properties, POOL_SIZE).err(),
        Tls::read(properties).err(),
        Tls::refuse(properties).err(),
    ];
    for error in errors.into_iter().flatten() {
        assert!(!error.to_string().contains(MARK), "a value in: {error}");
    }
    let secrets = ["redisPassword", "clientCert", "clientKey"];
    let secrets = secrets.into_iter().filter_map(|name| Some((name, properties.get(name)?)));
    let usable = [("redisHost", "h"), ("enableTLS", "true")].into_iter().chain(secrets).collect();
    let shown = format!("{:?}", RedisSettings::parse(&usable));
    assert!(!shown.contains(MARK), "a secret in: {shown}");
}

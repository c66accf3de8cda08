//! The library's store in Redis, connected to a test's server, and the settings that tests share.

use holdfast::store::{
    properties::Properties,
    redis::{ConnectError, RedisSettings, RedisStore},
};

use crate::{STORE, proxy::Proxy, redis_server::RedisServer};

/// A setting's name, as a component file has it, and its value.
pub type Setting<'a> = (&'a str, &'a str);

/// Tries once.
pub const ONCE: Setting = ("redisMaxRetries", "-1");

/// Waits for replies longer than any test takes.
pub const PATIENT: Setting = ("readTimeout", "60s");

/// Connects to a server with these settings. The server's counts of commands start from then on.
///
/// # Errors
///
/// When the server cannot be used.
pub async fn connect(
    server: &RedisServer,
    settings: &[Setting<'_>],
) -> Result<RedisStore, ConnectError> {
    let store = connect_to(&server.address(), settings).await?;
    server.forget_calls();
    Ok(store)
}

/// Connects to an address with these settings.
///
/// # Errors
///
/// When the server cannot be used.
///
/// # Panics
///
/// When a setting is invalid.
pub async fn connect_to(
    address: &str,
    settings: &[Setting<'_>],
) -> Result<RedisStore, ConnectError> {
    let mut properties: Properties = settings.iter().copied().collect();
    properties.insert("redisHost", address);
    let settings = RedisSettings::parse(&properties).expect("valid settings");
    RedisStore::connect(STORE, settings).await
}

/// A store with these settings that has no connection yet.
///
/// # Panics
///
/// When a setting is invalid.
pub fn unconnected(address: &str, settings: &[Setting<'_>]) -> RedisStore {
    let mut properties: Properties = settings.iter().copied().collect();
    properties.insert("redisHost", address);
    let settings = RedisSettings::parse(&properties).expect("valid settings");
    RedisStore::unconnected(STORE, settings).expect("valid settings")
}

/// A server, a proxy in front of it, and a store that reaches the server through the proxy. The server's
/// counts of commands start from then on.
///
/// # Panics
///
/// When a setting is invalid.
pub async fn behind_proxy(settings: &[Setting<'_>]) -> (RedisServer, Proxy, RedisStore) {
    let server = RedisServer::start();
    let proxy = Proxy::to(server.port()).await;
    let store = connect_to(&proxy.address(), settings).await.expect("the server can be used");
    server.forget_calls();
    (server, proxy, store)
}

/// Makes the user `locker`, who may run these commands on locks and nothing else, and returns the settings
/// that log in.
pub fn locker<'a>(server: &RedisServer, password: &'a str, commands: &str) -> [Setting<'a>; 2] {
    let secret = format!(">{password}");
    let user = ["ACL", "SETUSER", "locker", "on", &secret, "~lock||*", "-@all"];
    let commands: Vec<&str> = commands.split(' ').collect();
    server.run::<()>(&[&user[..], &commands].concat());
    [("redisUsername", "locker"), ("redisPassword", password)]
}

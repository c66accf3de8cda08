//! The library's store in Redis, connected to a test's server, and the settings that tests share.

use holdfast::store::{
    properties::Properties,
    redis::{ConnectError, RedisSettings, RedisStore},
};

use crate::{STORE, redis_server::RedisServer};

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

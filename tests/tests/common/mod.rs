//! A store on a test's server.

use holdfast::store::{
    properties::Properties,
    redis::{ConnectError, RedisSettings, RedisStore},
};
use holdfast_tests::redis_server::RedisServer;

/// Connects with the server's address and these settings.
pub async fn connect(
    server: &RedisServer,
    settings: &[(&str, &str)],
) -> Result<RedisStore, ConnectError> {
    connect_to(&server.address(), settings).await
}

/// Connects to an address with these settings.
pub async fn connect_to(
    address: &str,
    settings: &[(&str, &str)],
) -> Result<RedisStore, ConnectError> {
    let mut properties: Properties = settings.iter().copied().collect();
    properties.insert("redisHost", address);
    let settings = RedisSettings::parse(&properties).expect("good settings");
    RedisStore::connect("lockstore", settings).await
}

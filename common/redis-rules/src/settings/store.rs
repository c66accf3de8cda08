//! The settings that both clients use.

use alloc::{format, string::String};
use core::{fmt, time::Duration};

use super::{
    names, read,
    source::{SettingError, Source},
    unsupported,
};
use crate::{
    address::{self, Address, DEFAULT_PORT},
    backoff::Backoff,
};

/// The settings of a store. A time limit of `None` is no limit.
#[derive(Clone, PartialEq, Eq)]
pub struct Settings {
    /// The server.
    pub address: Address,
    /// The number of the database.
    pub db: u32,
    /// The user that each connection logs in as. Has no effect without a password.
    pub username: Option<String>,
    /// The password of each connection.
    pub password: Option<String>,
    /// How many more tries a command gets after one that changed nothing.
    pub retries: u32,
    /// The waits between these tries.
    pub backoff: Backoff,
    /// How long opening a connection may take, login included, and how long a call waits for one.
    pub dial_timeout: Option<Duration>,
    /// How long to wait for a reply.
    pub read_timeout: Option<Duration>,
    /// How long the network may accept nothing while a command is sent.
    pub write_timeout: Option<Duration>,
    /// How long to wait while all connections are full.
    pub pool_timeout: Option<Duration>,
    /// How old a connection may get.
    pub max_age: Option<Duration>,
    /// How long a connection may be idle.
    pub idle_timeout: Option<Duration>,
}

impl Settings {
    /// The defaults, which are daprd's, for a server.
    pub fn new(address: Address) -> Self {
        let read_timeout = Some(Duration::from_secs(3));
        Self {
            address,
            db: 0,
            username: None,
            password: None,
            retries: 3,
            backoff: Backoff {
                // daprd sets two seconds for locks, which the longest interval then bounds.
                min: Duration::from_secs(2),
                max: Duration::from_millis(512),
            },
            dial_timeout: Some(Duration::from_secs(5)),
            read_timeout,
            write_timeout: read_timeout,
            pool_timeout: default_pool_timeout(read_timeout),
            max_age: None,
            idle_timeout: Some(Duration::from_secs(300)),
        }
    }

    /// Reads the settings; those of other names are ignored.
    ///
    /// # Errors
    ///
    /// A [`SettingError`] names the first setting that is missing, cannot be read, contradicts another,
    /// or asks for what no client supports: Cluster, Sentinel, and cloud identity providers.
    pub fn read(source: &impl Source) -> Result<Self, SettingError> {
        unsupported::refuse(source)?;
        let default = Self::new(address(source)?);
        let wait = |setting, default: Duration| {
            read::limit(source, setting, Some(default)).map(Option::unwrap_or_default)
        };
        let read_timeout = read::limit(source, names::READ_TIMEOUT, default.read_timeout)?;
        let pool_timeout = default_pool_timeout(read_timeout);
        Ok(Self {
            db: read::number(source, names::REDIS_DB, default.db, "is not a whole number from 0")?,
            username: read::text(source, names::REDIS_USERNAME),
            password: read::text(source, names::REDIS_PASSWORD),
            retries: read::retries(source, names::MAX_RETRIES, default.retries)?,
            backoff: Backoff {
                min: wait(names::REDIS_MIN_RETRY_INTERVAL, default.backoff.min)?,
                max: wait(names::REDIS_MAX_RETRY_INTERVAL, default.backoff.max)?,
            },
            dial_timeout: read::limit(source, names::DIAL_TIMEOUT, default.dial_timeout)?,
            read_timeout,
            write_timeout: read::limit(source, names::WRITE_TIMEOUT, read_timeout)?,
            pool_timeout: read::limit(source, names::POOL_TIMEOUT, pool_timeout)?,
            max_age: read::limit(source, names::MAX_CONN_AGE, default.max_age)?,
            idle_timeout: read::limit(source, names::IDLE_TIMEOUT, default.idle_timeout)?,
            address: default.address,
        })
    }
}

/// The default for [`Settings::pool_timeout`]: 1 second more than the limit on a reply.
pub fn default_pool_timeout(read_timeout: Option<Duration>) -> Option<Duration> {
    read_timeout.map(|limit| limit.saturating_add(Duration::from_secs(1)))
}

/// Does not show the password.
impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("address", &format_args!("{}", self.address))
            .field("db", &self.db)
            .field("username", &self.username)
            .field("password", &self.password.as_ref().map(|_| "…"))
            .finish_non_exhaustive()
    }
}

const IS_A_URL: &str = "is a URL: write only its host:port, and what else it says in the settings for that \
                        (enableTLS for rediss, redisUsername, redisPassword, redisDB)";

const IS_A_CONNECTION_STRING: &str = "is a connection string: write only its host:port, and what else it \
                                      says in the settings for that (redisPassword, enableTLS for ssl)";

fn address<S: Source>(source: &S) -> Result<Address, SettingError> {
    let Some(host) = source.find(names::REDIS_HOST) else {
        let setting = source.name(names::REDIS_HOST);
        return Err(SettingError { setting, problem: S::MISSING.into() });
    };
    if host.value.contains("://") {
        return Err(host.error(IS_A_URL));
    }
    if host.value.contains(',') && host.value.contains('=') {
        return Err(host.error(IS_A_CONNECTION_STRING));
    }
    if host.value.contains(',') {
        return Err(host.error(unsupported::SENTINEL_LIST));
    }
    let (name, own_port) = address::split(host.value).map_err(|problem| host.error(problem))?;
    let Some(port) = source.find(names::REDIS_PORT) else {
        return Ok(Address { host: name, port: own_port.unwrap_or(DEFAULT_PORT) });
    };
    let other = address::parse_port(port.value).map_err(|problem| port.error(problem))?;
    if own_port.is_some_and(|own| own != other) {
        return Err(port.error(format!("differs from the port in {}", host.name)));
    }
    Ok(Address { host: name, port: other })
}

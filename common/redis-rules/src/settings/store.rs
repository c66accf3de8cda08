//! The settings that both clients use: how to speak to a server.

use alloc::{format, string::String};
use core::{fmt, time::Duration};

use super::{cloud, error::SettingError, names, read, source::Source};
use crate::backoff::Backoff;

/// The settings of connections and commands. A time limit of `None` is no limit.
#[derive(Clone, PartialEq, Eq)]
pub struct Settings {
    /// The number of the database.
    pub db: u32,
    /// The user that each connection logs in as. Has no effect without a password.
    pub username: Option<String>,
    /// The password of each connection.
    pub password: Option<String>,
    /// How many replicas must have a lock before it counts as taken.
    pub min_replicas: u32,
    /// Whether these replicas, and the server itself, must have it on disk.
    pub replicas_on_disk: bool,
    /// How many more tries a command gets after a try that changed nothing.
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

/// The defaults, which are daprd's.
impl Default for Settings {
    fn default() -> Self {
        let read_timeout = Some(Duration::from_secs(3));
        Self {
            db: 0,
            username: None,
            password: None,
            min_replicas: 0,
            replicas_on_disk: false,
            retries: 3,
            backoff: Backoff {
                // daprd sets two seconds for locks. The longest interval then bounds them.
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
}

impl Settings {
    /// Reads the settings, and ignores settings of other names.
    ///
    /// # Errors
    ///
    /// A [`SettingError`] names the first setting that cannot be read, or asks for what no client supports: cloud
    /// identity providers.
    pub fn read(source: &impl Source) -> Result<Self, SettingError> {
        cloud::refuse(source)?;
        let default = Self::default();
        let wait = |setting, default: Duration| {
            read::limit(source, setting, Some(default)).map(Option::unwrap_or_default)
        };
        let read_timeout = read::limit(source, names::READ_TIMEOUT, default.read_timeout)?;
        let pool_timeout = default_pool_timeout(read_timeout);
        let min_replicas = read::number(source, names::MIN_REPLICAS, default.min_replicas, WHOLE)?;
        let on_disk = read::flag(source, names::REPLICAS_ON_DISK)?;
        if let Some(found) = on_disk.filter(|_| min_replicas == 0) {
            return Err(found.error(format!("needs {}", source.name(names::MIN_REPLICAS))));
        }
        Ok(Self {
            db: read::number(source, names::REDIS_DB, default.db, WHOLE)?,
            username: read::text(source, names::REDIS_USERNAME),
            password: read::text(source, names::REDIS_PASSWORD),
            min_replicas,
            replicas_on_disk: on_disk.is_some(),
            retries: read::retries(source, names::MAX_RETRIES, default.retries)?,
            backoff: Backoff {
                min: wait(names::REDIS_MIN_RETRY_INTERVAL, default.backoff.min)?,
                max: wait(names::REDIS_MAX_RETRY_INTERVAL, default.backoff.max)?,
            },
            dial_timeout: dial_timeout(source)?,
            read_timeout,
            write_timeout: read::limit(source, names::WRITE_TIMEOUT, read_timeout)?,
            pool_timeout: read::limit(source, names::POOL_TIMEOUT, pool_timeout)?,
            max_age: read::limit(source, names::MAX_CONN_AGE, default.max_age)?,
            idle_timeout: read::limit(source, names::IDLE_TIMEOUT, default.idle_timeout)?,
        })
    }
}

const WHOLE: &str = "is not a whole number from 0";

/// Reads [`Settings::dial_timeout`] alone.
///
/// # Errors
///
/// If the setting cannot be read.
pub fn dial_timeout(source: &impl Source) -> Result<Option<Duration>, SettingError> {
    read::limit(source, names::DIAL_TIMEOUT, Settings::default().dial_timeout)
}

/// The default for [`Settings::pool_timeout`]: 1 second more than the limit on a reply.
pub fn default_pool_timeout(read_timeout: Option<Duration>) -> Option<Duration> {
    read_timeout.map(|limit| limit.saturating_add(Duration::from_secs(1)))
}

/// Does not show the password.
impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("db", &self.db)
            .field("username", &self.username)
            .field("password", &self.password.as_ref().map(|_| "…"))
            .finish_non_exhaustive()
    }
}

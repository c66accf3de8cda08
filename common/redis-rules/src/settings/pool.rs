//! The settings of a client with several connections.

use core::time::Duration;

use super::{error::SettingError, names, read, source::Source};

/// How many connections the client has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pool {
    /// How many connections may be open; at least one.
    pub size: usize,
    /// How many connections are opened at the start, and kept; `size` at most.
    pub min_idle: usize,
    /// How often connections are checked for age and idleness; `None` for never.
    pub idle_check: Option<Duration>,
}

impl Pool {
    /// The defaults for a pool of this size.
    pub fn new(size: usize) -> Self {
        Self { size, min_idle: 0, idle_check: Some(Duration::from_secs(60)) }
    }

    /// Whether `minIdleConns` is above the size, so that all connections are kept.
    pub(super) fn is_exceeded(source: &impl Source, default_size: usize) -> bool {
        let min_idle = source.find(names::MIN_IDLE_CONNS);
        let min_idle = min_idle.and_then(|found| found.value.parse::<u16>().ok());
        let pool = Self::read(source, default_size);
        min_idle.zip(pool.ok()).is_some_and(|(idle, pool)| usize::from(idle) > pool.size)
    }

    /// Reads the settings. The pool has `default_size` if no other size is set.
    ///
    /// # Errors
    ///
    /// A [`SettingError`] names the first setting that cannot be read.
    pub fn read(source: &impl Source, default_size: usize) -> Result<Self, SettingError> {
        let count = |setting| {
            read::number::<u16>(source, setting, 0, "is not a number from 0 to 65535")
                .map(usize::from)
        };
        let default = match count(names::POOL_SIZE)? {
            0 => Self::new(default_size),
            size => Self::new(size),
        };
        Ok(Self {
            min_idle: count(names::MIN_IDLE_CONNS)?.min(default.size),
            idle_check: read::limit(source, names::IDLE_CHECK_FREQUENCY, default.idle_check)?,
            ..default
        })
    }
}

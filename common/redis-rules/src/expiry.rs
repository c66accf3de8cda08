//! When a lock expires, as a command says it.

use core::time::Duration;

/// When a lock expires.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expiry {
    /// At this time of the server's clock, in milliseconds since 1970, however late the server runs the
    /// command. Needs Redis 6.2.
    At(u64),
    /// This many milliseconds after the server has run the command.
    After(u64),
}

impl Expiry {
    /// The option of `SET`, and its milliseconds.
    pub(crate) fn option(self) -> (&'static str, u64) {
        match self {
            Self::At(time) => ("PXAT", time),
            Self::After(ttl) => ("PX", ttl),
        }
    }
}

/// A time in whole milliseconds; the longest if there are more than can be counted.
pub fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

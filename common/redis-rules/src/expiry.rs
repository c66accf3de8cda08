//! When a lock expires, in the form that a command takes.

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

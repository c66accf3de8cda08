//! The answers to a command on a connection.

use std::{
    fmt, io,
    sync::Arc,
    time::{Duration, Instant},
};

use holdfast_redis_rules::{
    extend::Extended,
    release::Released,
    reply::{Nonsense, Reply},
};

/// An answer of the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum ServerAnswer {
    /// The lock was free, and the owner holds it now.
    Granted(ServerGrant),
    /// An owner holds the lock.
    Held,
    /// The lock was free, and its time was over before the server took it.
    RanOut,
    /// The lock was free, but it expires too early or too late: the server's clock was set.
    ClockWasSet {
        /// When the lock expires.
        expiry: u64,
        /// The latest time at which the lock has ended.
        ends: Option<Instant>,
    },
    /// The lock was free, but the server no longer reports its clock. Carries the server's error line.
    ClockLost {
        line: String,
        /// When the lock expires.
        expiry: u64,
        /// The latest time at which the lock has ended.
        ends: Option<Instant>,
    },
    /// The server has the lock, or has extended it, but too few of its replicas have it.
    TooFewReplicas {
        /// How many replicas have it, or why the server did not wait for them.
        cause: String,
        /// When the lock expires, if it was taken and this store chose that time.
        expiry: Option<u64>,
        /// The latest time at which the lock has ended, if it was taken.
        ends: Option<Instant>,
    },
    /// The server knows no expiry by its clock, and did nothing. Carries the server's error line.
    UnknownExpiry(String),
    /// The outcome of a release.
    Released(Released),
    /// The outcome of an extend.
    Extended(Extended),
    /// The server did nothing, for the reason in this error line.
    Refused(String),
    /// The reply to any other command.
    Other(Reply),
}

/// The grant of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ServerGrant {
    /// When the lock expires by the server's clock, in milliseconds since 1970, if this store chose that time.
    pub(super) expiry: Option<u64>,
    /// How long the lock lasts at least, from the sending of the command.
    pub(super) left: Duration,
    /// The latest time at which the lock has ended.
    pub(super) ends: Instant,
    /// The fencing token, if the caller asked for one.
    pub(super) token: Option<u64>,
}

/// Why a command has no answer.
#[derive(Clone, Debug)]
pub(super) enum NoAnswer {
    /// The server cannot have run the command.
    Unsent(Cause),
    /// The server may have run the command, or may still run it. A lock that it takes ends within
    /// `lasts` from now.
    Unknown { cause: Cause, lasts: Option<Duration> },
}

/// Why a connection gives no answers.
#[derive(Clone, Debug)]
pub(super) enum Cause {
    /// The server or the network ended the connection.
    Lost,
    /// The network accepted nothing for too long.
    SendTimedOut,
    /// The reply did not come within this time.
    TimedOut(Duration),
    /// A reply made no sense.
    Nonsense,
    /// A proxy got no reply from the server. Carries the proxy's error line.
    Proxy(String),
    /// Another server has taken the place of this one.
    Replaced,
    /// The store is closed.
    Closed,
    /// Any other error of the network.
    Io(Arc<io::Error>),
}

impl ServerAnswer {
    /// The expiry of the lock that the command took, if the lock can be given back.
    pub(super) fn expiry(&self) -> Option<u64> {
        match self {
            Self::Granted(granted) => granted.expiry,
            Self::ClockWasSet { expiry, .. } | Self::ClockLost { expiry, .. } => Some(*expiry),
            Self::TooFewReplicas { expiry, .. } => *expiry,
            _ => None,
        }
    }

    /// The reply to a command that takes and releases no lock.
    pub(super) fn into_reply(self) -> Reply {
        match self {
            Self::Refused(line) | Self::UnknownExpiry(line) => Reply::Error(line),
            Self::Other(reply) => reply,
            _ => Reply::Status,
        }
    }
}

impl NoAnswer {
    pub(super) fn cause(self) -> Cause {
        match self {
            Self::Unsent(cause) | Self::Unknown { cause, .. } => cause,
        }
    }
}

impl From<io::Error> for Cause {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::NotConnected
            | io::ErrorKind::UnexpectedEof => Self::Lost,
            _ => Self::Io(Arc::new(error)),
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lost => f.write_str("connection lost"),
            Self::SendTimedOut => f.write_str("sending timed out"),
            Self::TimedOut(limit) => write!(f, "no reply within {limit:?}"),
            Self::Nonsense => f.write_str(Nonsense::TEXT),
            Self::Proxy(line) => f.write_str(line),
            Self::Replaced => f.write_str("another server has taken the place of the master"),
            Self::Closed => f.write_str("the store is closed"),
            Self::Io(error) => write!(f, "{error}"),
        }
    }
}

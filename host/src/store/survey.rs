//! What an operator sees of a store: its servers, and what locks there can promise.

use std::fmt;

/// The servers that keep the locks of a store, as they were found just now, and what locks there can promise.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Survey {
    /// The servers, each master before its replicas. Empty for a store without any.
    pub servers: Vec<Server>,
    /// What can end a lock early, and what cannot, in sentences. Empty if the store does not say.
    pub promise: String,
}

/// A server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// Its `host:port`.
    pub address: String,
    /// What it is to the others.
    pub role: Role,
    /// What it said of itself, or why it said nothing.
    pub about: String,
}

/// What a server is to the others of a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Role {
    /// It takes locks, and others copy them.
    Master,
    /// It copies from a master.
    Replica,
    /// It watches the master, and has another one take its place.
    Sentinel,
    /// It takes locks, and nobody else does for it.
    Alone,
}

/// One word.
impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Master => "master",
            Self::Replica => "replica",
            Self::Sentinel => "sentinel",
            Self::Alone => "alone",
        })
    }
}

//! What an operator sees of a store: its servers, and what their locks can promise.

use std::fmt;

/// The servers that keep the locks of a store, as they answered just now, and what their locks can promise.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Survey {
    /// The servers, each master before its replicas. Empty for a store without servers.
    pub servers: Vec<Server>,
    /// What can end a lock early, and what cannot, in sentences. Empty if the store does not report this.
    pub promise: String,
}

/// A server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// The `host:port` of the server.
    pub address: String,
    /// The role of the server among the others.
    pub role: Role,
    /// The server's description of itself, or why it has none.
    pub about: String,
}

/// The role of a server among those of a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Role {
    /// The server takes locks, and other servers copy them.
    Master,
    /// The server copies from a master.
    Replica,
    /// The server watches the master, and makes another server take its place.
    Sentinel,
    /// The server takes locks, and no other server can take its place.
    Alone,
}

/// Writes the role as one word.
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

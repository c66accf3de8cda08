//! Where a client finds its server.

use std::{fmt, sync::Arc};

use holdfast_redis_rules::address::Address;

use super::{dial_error::DialError, sentinel::Sentinels};

/// Where a client finds its server.
pub(super) enum Endpoint {
    /// Always at this address.
    Fixed(Address),
    /// Always at this address, which no setting names: another node of the cluster did.
    Named {
        address: Address,
        /// The `host:port` of that node.
        by: String,
    },
    /// Where the sentinels report the master.
    Master(Arc<Sentinels>),
}

impl Endpoint {
    /// The server's address at present.
    pub(super) async fn find(&self) -> Result<Address, DialError> {
        match self {
            Self::Fixed(address) | Self::Named { address, .. } => Ok(address.clone()),
            Self::Master(sentinels) => sentinels.master().await,
        }
    }

    /// A readable reason for a wait before a connection is open.
    pub(super) fn waits_for(&self) -> String {
        match self {
            Self::Fixed(_) | Self::Named { .. } => "no connection yet".to_owned(),
            Self::Master(sentinels) => match sentinels.reported_master() {
                Some(master) => format!("no connection to the master {master} yet"),
                None => "no sentinel has reported the master yet".to_owned(),
            },
        }
    }

    /// The address of the master that was reported last; `None` for a server that stays where it is.
    pub(super) fn reported_master(&self) -> Option<Address> {
        match self {
            Self::Fixed(_) | Self::Named { .. } => None,
            Self::Master(sentinels) => sentinels.reported_master(),
        }
    }

    /// Whether this was the server's address in the latest report.
    pub(super) fn is_at(&self, address: &Address) -> bool {
        match self {
            Self::Fixed(_) | Self::Named { .. } => true,
            Self::Master(sentinels) => sentinels.is_reported_master(address),
        }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fixed(address) | Self::Named { address, .. } => address.fmt(f),
            Self::Master(sentinels) => sentinels.fmt(f),
        }
    }
}

//! What became of a command, after all its tries.

use std::time::Duration;

use holdfast_redis_rules::redirect::Redirect;

/// Why a command has no outcome.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum NoOutcome {
    /// It did nothing.
    NotDone(String),
    /// It took a lock that is over: it ran out, or was given back. Another server is not asked for it after that.
    Over(String),
    /// It did nothing, because another node of the cluster has the key. Carries the error line as well.
    Elsewhere(Redirect, String),
    /// It may have been done, or may still be done. A lock that it takes ends within this time from now.
    Unknown(String, Option<Duration>),
}

/// A command that ended without an outcome, and where.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) no_outcome: NoOutcome,
    /// The node of a cluster; `None` if it came to none, or there is only one server.
    pub(super) node: Option<String>,
}

impl Ended {
    /// At the node of a cluster that has this address.
    pub(super) fn at(address: &str, no_outcome: NoOutcome) -> Self {
        Self { no_outcome, node: Some(address.to_owned()) }
    }
}

impl From<NoOutcome> for Ended {
    fn from(no_outcome: NoOutcome) -> Self {
        Self { no_outcome, node: None }
    }
}

/// A lock that was taken.
pub(super) struct Taken {
    /// For how long it is surely held, from now.
    pub(super) left: Duration,
    /// Its fencing token, if one was asked for.
    pub(super) token: Option<u64>,
}

//! The end of a command, after all its tries.

use std::time::Duration;

use holdfast_redis_rules::redirect::Redirect;

/// Why a command has no outcome.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum NoOutcome {
    /// The command did nothing.
    NotDone(String),
    /// The command took a lock that has expired or was given back. No other server is asked for it after that.
    Over(String),
    /// The command did nothing, because another node of the cluster has the key. Carries the error line as well.
    Elsewhere(Redirect, String),
    /// The server may have run the command, or may still run it. If it takes a lock, that lock ends within this time
    /// from now.
    Unknown(String, Option<Duration>),
}

impl NoOutcome {
    /// The end of a command that did nothing for this cause, which may be a redirect.
    pub(super) fn nothing_done(cause: String) -> Self {
        match Redirect::read(&cause) {
            Some(redirect) => Self::Elsewhere(redirect, cause),
            None => Self::NotDone(cause),
        }
    }
}

/// A command that ended without an outcome, and where it ended.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) no_outcome: NoOutcome,
    /// The node of a cluster; `None` if the command reached no node, or the store has only one server.
    pub(super) node: Option<String>,
}

impl Ended {
    /// The end at the node of a cluster that has this address.
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
pub(super) struct GrantedLock {
    /// For how long the lock is surely held, counted from now.
    pub(super) left: Duration,
    /// The fencing token, if the caller asked for one.
    pub(super) token: Option<u64>,
}

//! The values of the contract, generated from `wit/types.wit`, with constructors and with times in Rust's types.
//!
//! Bindings that an embedder generates for a world of its own can use these types:
//!
//! ```ignore
//! wasmtime::component::bindgen!({
//!     path: "wit",
//!     with: { "holdfast:lock/types": holdfast::types },
//! });
//! ```

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use holdfast_timing::whole_milliseconds;

pub use crate::bindings::holdfast::lock::types::*;

impl Error {
    /// The message, for a person.
    pub fn message(&self) -> &str {
        holdfast_rules::message_of!(self)
    }
}

impl IndeterminateOutcome {
    /// [`held_until`](Self::held_until) as a time; `None` if there is none, or if the system's clock
    /// cannot represent it.
    pub fn held_until(&self) -> Option<SystemTime> {
        time(self.held_until?)
    }
}

impl UnknownOutcome {
    /// [`held_until`](Self::held_until) as a time; `None` if there is none, or if the system's clock
    /// cannot represent it.
    pub fn held_until(&self) -> Option<SystemTime> {
        time(self.held_until?)
    }
}

impl LeaseOptions {
    /// A lease of this time to live, for a fresh owner. It is tried once and has no fencing token. `ttl` is rounded up
    /// to whole milliseconds: from 1 ms to 2,147,483,647 s.
    pub fn new(ttl: Duration) -> Self {
        Self { owner: None, ttl: whole_milliseconds(ttl), wait: 0, fenced: false }
    }

    /// Sets the owner. Without this, each lease has a fresh owner that nobody can guess.
    #[must_use]
    pub fn owner(mut self, owner: impl Into<String>) -> Self {
        self.owner = Some(owner.into());
        self
    }

    /// Sets how long to wait for the lock, rounded up to whole milliseconds: up to 2,147,483,647 s.
    #[must_use]
    pub fn wait(mut self, wait: Duration) -> Self {
        self.wait = whole_milliseconds(wait);
        self
    }

    /// Asks for a [fencing token](Lease::fencing_token).
    #[must_use]
    pub fn fenced(mut self) -> Self {
        self.fenced = true;
        self
    }
}

impl Lease {
    /// [`valid_for`](Self::valid_for) as a duration.
    pub fn valid_for(&self) -> Duration {
        Duration::from_millis(self.valid_for)
    }
}

impl Holding {
    /// [`time_left`](Self::time_left) as a duration; `None` if the lock never expires.
    pub fn time_left(&self) -> Option<Duration> {
        self.time_left.map(Duration::from_millis)
    }
}

impl HeldLock {
    /// [`time_left`](Self::time_left) as a duration; `None` if the lock never expires.
    pub fn time_left(&self) -> Option<Duration> {
        self.time_left.map(Duration::from_millis)
    }
}

impl Failure {
    /// Nothing changed in the store.
    pub fn not_done(cause: impl Into<String>) -> Self {
        Self::NotDone(cause.into())
    }

    /// The operation may have been carried out. After an acquire, `held_until` is the latest time at
    /// which the lock expires; it is rounded up to milliseconds, so it is never too early.
    pub fn unknown(cause: impl Into<String>, held_until: Option<SystemTime>) -> Self {
        Self::Unknown(UnknownOutcome {
            cause: cause.into(),
            held_until: held_until.map(milliseconds),
        })
    }

    /// What went wrong, for a person.
    pub fn cause(&self) -> &str {
        match self {
            Self::NotDone(cause) | Self::Unknown(UnknownOutcome { cause, .. }) => cause,
        }
    }

    /// The failure of an acquire by this owner. Its cause names the owner if the outcome is unknown.
    pub(crate) fn naming(self, owner: &str) -> Self {
        holdfast_rules::failure_naming!(self, owner)
    }
}

fn time(milliseconds: u64) -> Option<SystemTime> {
    UNIX_EPOCH.checked_add(Duration::from_millis(milliseconds))
}

/// Milliseconds since 1970, rounded up.
fn milliseconds(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    whole_milliseconds(since)
}

impl Request<'_> {
    pub(crate) fn verb(&self) -> Verb {
        match self {
            Self::TryLock(_) => Verb::TryLock,
            Self::Unlock(_) => Verb::Unlock,
            Self::Acquire(_) => Verb::Acquire,
            Self::Extend(_) => Verb::Extend,
            Self::Inspect(_) => Verb::Inspect,
            Self::ListLocks(_) => Verb::ListLocks,
            Self::ForceRelease(_) => Verb::ForceRelease,
            Self::Json(request) => request.verb,
        }
    }

    pub(crate) fn form(&self) -> Form {
        match self {
            Self::Json(_) => Form::Json,
            _ => Form::Typed,
        }
    }
}

impl Answer {
    /// Why the call has no verdict, if it has none.
    pub(crate) fn error(&self) -> Option<&Error> {
        match self {
            Self::Failed(error) => Some(error),
            Self::Json(answer) => answer.error.as_ref(),
            _ => None,
        }
    }
}

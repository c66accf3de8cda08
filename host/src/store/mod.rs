//! What a lock needs of a store, and the stores there are.
//!
//! Here live the trait and its outcomes; each store has a module of its own. No rule of the lock
//! lives here: keys arrive already built, and what an outcome means to a caller is the guest's
//! to say.

pub mod memory;
pub mod properties;
pub mod redis;

use std::time::{Duration, SystemTime};

use futures_util::future::BoxFuture;

/// A place that keeps locks: the atomic operations that a lock is made of.
///
/// Both operations are *cancel safe* in this sense: a caller may drop the future at any await
/// point and no lock is left behind unnoticed. An [`acquire`](Store::acquire) that was sent
/// before its future was dropped is finished in the background, and what it was granted is
/// given back, until [`late`] has passed since it was sent.
pub trait Store: Send + Sync + 'static {
    /// Sets `key` to `owner` for `ttl` unless the key is set, in one atomic step.
    ///
    /// A key that is set, also by the same owner, is [`Acquired::Held`]: no error.
    /// `ttl` is a whole number of milliseconds, at least one.
    fn acquire<'a>(
        &'a self,
        key: &'a str,
        owner: &'a str,
        ttl: Duration,
    ) -> BoxFuture<'a, Result<Acquired, Failure>>;

    /// Deletes `key` if its value is `owner`, in one atomic step.
    fn release<'a>(
        &'a self,
        key: &'a str,
        owner: &'a str,
    ) -> BoxFuture<'a, Result<Released, Failure>>;

    /// Waits until what earlier calls left to be finished in the background is done, and closes
    /// connections where there are any: calls that need one fail from then on.
    fn close(&self) -> BoxFuture<'_, ()> {
        Box::pin(std::future::ready(()))
    }
}

/// How long after an acquire of this `ttl` was sent its reply is still awaited, to give back what
/// it grants: the time to live, 30 seconds at most.
///
/// A store may take the command up at the last of these moments, so an acquire whose future is
/// dropped now can hold its lock for `late(ttl) + ttl` from now on.
pub fn late(ttl: Duration) -> Duration {
    holdfast_redis_rules::late::late(ttl)
}

/// What came of an [`acquire`](Store::acquire) that the store answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Acquired {
    /// The key was free and is the caller's now.
    Granted(Grant),
    /// The key is set, by whomever.
    Held,
}

/// What a store says of a lock that it granted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Grant {
    /// A number that is larger for every later grant of the same key; `None` from a store that
    /// does not number its grants.
    pub fencing_token: Option<u64>,
}

/// What came of a [`release`](Store::release) that the store answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Released {
    /// The key had the owner's value and is gone.
    Released,
    /// The key is not set.
    Missing,
    /// The key has another owner's value and was left alone.
    HeldByOther,
}

/// Why a store gave no outcome. The two cases differ in what the caller may conclude.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// Nothing was changed in the store: the operation was not sent, or the store refused it.
    #[error("{cause}")]
    NotDone {
        /// What went wrong, for a person; never a secret.
        cause: String,
    },
    /// The operation was sent and its reply never came: it may have been done or not.
    #[error("{cause}")]
    Unknown {
        /// What went wrong, for a person; never a secret.
        cause: String,
        /// For an acquire: the latest time at which the lock, if it was taken, runs out by
        /// itself. `None` for a release.
        held_until: Option<SystemTime>,
    },
}

//! What a lock needs of a store, and the stores of this library.
//!
//! This module has the trait [`Store`]; each store has a module of its own. Stores know no rule of the lock: keys
//! arrive complete, and the lock component decides what an outcome means to the caller.
//!
//! | module | what lives there |
//! |---|---|
//! | [`memory`] | a store in the memory of this process |
//! | `redis` | a store in Redis; feature `redis` |
//! | [`quorum`] | a store over several stores, of which a majority holds the lock |
//! | [`identities`] | the servers of a quorum's nodes |
//! | `properties` | the settings of a store in a resource file; feature `redis` |
//! | `watch` | [`Watched`]: a key whose changes the store reports |
//! | `survey` | [`Survey`]: what operators learn about a store's servers |
//! | `retrying` | how long a call may be tried again |

pub mod identities;
pub mod memory;
#[cfg(feature = "redis")]
pub mod properties;
pub mod quorum;
#[cfg(feature = "redis")]
pub mod redis;
pub(crate) mod retrying;
mod survey;
mod watch;

use std::{sync::Arc, time::Duration};

use futures_util::future::BoxFuture;

use self::identities::Identities;
pub use self::{
    survey::{Role, Server, Survey},
    watch::Watched,
};
pub use crate::types::{Acquired, Extended, Failure, Grant, Holding, Released, UnknownOutcome};

/// A place that keeps locks, with the atomic operations of a lock.
///
/// A caller may drop the future of any operation at any await point, and leaves no lock behind. If an
/// [`acquire`](Store::acquire) was sent before its future was dropped, the store finishes it in the background, and
/// gives back its grant, until [`late`] has passed since the sending.
pub trait Store: Send + Sync + 'static {
    /// Sets `key` to `owner` for `ttl` unless the key is set, in one atomic step.
    ///
    /// If the key is set, even by the same owner, the outcome is [`Acquired::Held`] and not an error. `ttl` is a whole
    /// number of milliseconds, at least one. It counts from this call: a grant whose time is over is a [`Failure`].
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

    /// As [`acquire`](Store::acquire), but the grant has a [fencing token](Grant::fencing_token). The token is larger
    /// than every earlier one of the same key: across release, expiry and a restart.
    ///
    /// A store that has no fencing tokens refuses the command. This is the default.
    fn acquire_fenced<'a>(
        &'a self,
        key: &'a str,
        owner: &'a str,
        ttl: Duration,
    ) -> BoxFuture<'a, Result<Acquired, Failure>> {
        let _ = (key, owner, ttl);
        cannot("number its grants")
    }

    /// Makes the fencing token of every later grant of `key` larger than `at_least`, whether the key is set or not. A
    /// token that is larger already stays. Refused by default.
    fn raise_fencing_token<'a>(
        &'a self,
        key: &'a str,
        at_least: u64,
    ) -> BoxFuture<'a, Result<(), Failure>> {
        let _ = (key, at_least);
        cannot("raise its fencing tokens")
    }

    /// Makes `key` last for `ttl` from now if its value is `owner`, in one atomic step. A key that lasts longer keeps
    /// its time unless `may_shorten`. However late the store carries the command out, the key does not last longer than
    /// for `ttl` from this call.
    ///
    /// The answer is how long the key surely lasts, counted from the answer. If that would be 0, the outcome is a
    /// [`Failure`]. Refused by default.
    fn extend<'a>(
        &'a self,
        key: &'a str,
        owner: &'a str,
        ttl: Duration,
        may_shorten: bool,
    ) -> BoxFuture<'a, Result<Extended, Failure>> {
        let _ = (key, owner, ttl, may_shorten);
        cannot("extend a lock")
    }

    /// The value of `key`, its time to live and its fencing token; `None` if the key is not set. Refused by default.
    fn inspect<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Option<Holding>, Failure>> {
        let _ = key;
        cannot("inspect a lock")
    }

    /// Lists the keys that are set and begin with `prefix`, with their owners: about `limit` of them, from 1 to 1,000.
    /// `cursor` is `None` for the first page, then [`KeyPage::next`] of the previous page. A key that is set throughout
    /// is in at least one page. Refused by default.
    fn list<'a>(
        &'a self,
        prefix: &'a str,
        cursor: Option<&'a str>,
        limit: u32,
    ) -> BoxFuture<'a, Result<KeyPage, Failure>> {
        let _ = (prefix, cursor, limit);
        cannot("list its locks")
    }

    /// Whether a text can be a cursor of [`list`](Store::list). An invalid cursor is the caller's mistake, and not a
    /// [`Failure`] of the store. By default any text is valid.
    fn is_cursor(&self, cursor: &str) -> bool {
        let _ = cursor;
        true
    }

    /// Deletes `key`, whatever its value is, in one atomic step. Returns the value; `None` if the key was not set.
    /// Refused by default.
    fn force_release<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Option<String>, Failure>> {
        let _ = key;
        cannot("release a lock of somebody else")
    }

    /// Watches `key`, so that a waiter need not poll. Returns the holder, and a future that ends when the holder
    /// changes. No change in between is missed.
    ///
    /// `None` (the default) if the store cannot watch.
    fn watch<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Option<Watched>> {
        let _ = key;
        Box::pin(std::future::ready(None))
    }

    /// Facts about the store for an operator, such as its server's address and the results of its checks. Empty if
    /// there are none.
    fn describe(&self) -> String {
        String::new()
    }

    /// Asks the servers of the store what they are. By default the answer is empty.
    fn survey(&self) -> BoxFuture<'_, Survey> {
        Box::pin(std::future::ready(Survey::default()))
    }

    /// Makes the store this node of a quorum, whose nodes must be different servers. The store notes in `servers` where
    /// each connection leads, also those that are open, and uses no connection to a server that is another node. By
    /// default this does nothing, so two nodes on one server stay unnoticed.
    fn join_quorum(&self, node: &str, servers: &Arc<Identities>) {
        let _ = (node, servers);
    }

    /// Waits until the work that earlier calls left to the background is done, and closes the connections of the store.
    /// From then on, calls that need a connection fail.
    fn close(&self) -> BoxFuture<'_, ()> {
        Box::pin(std::future::ready(()))
    }
}

/// Some of the keys of a store.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyPage {
    /// The keys that are set.
    pub keys: Vec<HeldKey>,
    /// Where the next page begins; `None` after the last one.
    pub next: Option<String>,
}

/// A key that is set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldKey {
    /// The key.
    pub key: String,
    /// The value, or the beginning of a long value.
    pub owner: String,
    /// When the key expires, in milliseconds from now; `None` if it never expires.
    pub time_left: Option<u64>,
}

fn cannot<T: Send + 'static>(what: &str) -> BoxFuture<'static, Result<T, Failure>> {
    let refusal = Failure::not_done(format!("this store cannot {what}"));
    Box::pin(std::future::ready(Err(refusal)))
}

/// How long a store waits for the reply to an acquire of this `ttl` after the caller has left, in order to give back
/// its grant: the time to live, but at most 30 seconds.
///
/// The server may carry out the command at the end of this time. So if the future of an acquire is dropped now, its
/// lock can last for `late(ttl) + ttl` from now on.
pub fn late(ttl: Duration) -> Duration {
    holdfast_timing::late::late(ttl)
}

//! What a lock needs of a store, and the stores of this library.
//!
//! The trait [`Store`] lives here; each store has a module of its own. Stores know no rule of the lock:
//! keys arrive complete, and the lock component decides what an outcome means to the caller.
//!
//! | module | what lives there |
//! |---|---|
//! | [`memory`] | a store in the memory of this process |
//! | `redis` | a store in Redis; feature `redis` |
//! | [`quorum`] | a store over several stores: a majority of them holds the lock |
//! | [`identities`] | which server each node of a quorum is |
//! | `properties` | the settings of a store, as a resource file has them; feature `redis` |
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

/// A place that keeps locks: the atomic operations that a lock is made of.
///
/// A caller may drop the future of any operation at any await point, and no lock is left behind. An
/// [`acquire`](Store::acquire) that was sent before its future was dropped is finished in the background,
/// and a lock that it is granted is given back, until [`late`] has passed since it was sent.
pub trait Store: Send + Sync + 'static {
    /// Sets `key` to `owner` for `ttl` unless the key is set, in one atomic step.
    ///
    /// A key that is set, even by the same owner, is not an error but [`Acquired::Held`]. `ttl` is a whole
    /// number of milliseconds, at least one. It counts from this call: a grant whose time is over is a
    /// [`Failure`].
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

    /// [`acquire`](Store::acquire), whose grant has a [fencing token](Grant::fencing_token) that is larger than
    /// that of every earlier numbered grant of the same key: across release, expiry and a restart.
    ///
    /// A store that cannot number its grants refuses it, which is the default.
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

    /// Makes `key` last for `ttl` from now if its value is `owner`, in one atomic step. A key that lasts longer
    /// keeps its time unless `may_shorten`. However late the store carries it out, the key does not last
    /// longer than for `ttl` from this call.
    ///
    /// The answer says for how long the key surely lasts, counted from the answer. One that would be 0 is a
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

    /// The value of `key`, if it is set, and what else is known of it. Refused by default.
    fn inspect<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Option<Holding>, Failure>> {
        let _ = key;
        cannot("inspect a lock")
    }

    /// Lists the keys that are set and begin with `prefix`, with their owners: about `limit` of them, from 1 to 1,000.
    /// `cursor` is `None` for the first page, then [`KeyPage::next`] of the previous page. Every key that is set all
    /// the time is in one page at least. Refused by default.
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

    /// Deletes `key`, whatever its value is, and returns the value, in one atomic step. `None` if the key is not set.
    /// Refused by default.
    fn force_release<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Option<String>, Failure>> {
        let _ = key;
        cannot("release a lock of somebody else")
    }

    /// Watches `key`, so that a waiter need not poll. Returns the holder, and a future that ends when that changes; no
    /// change is missed in between.
    ///
    /// `None` (the default) if the store cannot watch.
    fn watch<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Option<Watched>> {
        let _ = key;
        Box::pin(std::future::ready(None))
    }

    /// What an operator should know of the store, such as its server's address and what was found there.
    /// Empty if there is nothing to say.
    fn describe(&self) -> String {
        String::new()
    }

    /// Asks the servers of the store what they are. Says nothing by default.
    fn survey(&self) -> BoxFuture<'_, Survey> {
        Box::pin(std::future::ready(Survey::default()))
    }

    /// Makes the store this node of a quorum, whose nodes must be different servers: it notes in `servers` where each
    /// connection leads, also those that are open, and uses none that leads to a server which is another node. Does
    /// nothing by default, so nobody finds out that two nodes are one server.
    fn join_quorum(&self, node: &str, servers: &Arc<Identities>) {
        let _ = (node, servers);
    }

    /// Waits until the work that earlier calls left to the background is done, and closes the connections,
    /// if there are any. Calls that need a connection fail from then on.
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
    /// Its value, or the beginning of a long one.
    pub owner: String,
    /// When it expires, in milliseconds from now; `None` if it never does.
    pub time_left: Option<u64>,
}

fn cannot<T: Send + 'static>(what: &str) -> BoxFuture<'static, Result<T, Failure>> {
    let refusal = Failure::not_done(format!("this store cannot {what}"));
    Box::pin(std::future::ready(Err(refusal)))
}

/// How long a store waits for the reply to an acquire of this `ttl` after the caller has left, in order to
/// release the lock that it grants: the time to live, but at most 30 seconds.
///
/// The server may carry out the command at the end of this time, so an acquire whose future is dropped
/// now can hold its lock for `late(ttl) + ttl` from now on.
pub fn late(ttl: Duration) -> Duration {
    holdfast_timing::late::late(ttl)
}

//! A store over several stores. A lock is held if a majority of them holds it.
//!
//! The nodes are independent: no node copies from another. Locks stay available while a majority of the nodes works (2
//! of 3, 3 of 5), and a node that loses its data loses no lock. This is the algorithm Redlock with three answers to its
//! critics: tokens that grow, times by each node's own clock, and a node that has lost its data is kept out.
//!
//! # Acquire
//!
//! The store asks all nodes at once. Each node has [a short time](QuorumSettings::node_timeout) to answer. A node
//! grants the lock, reports that it is held, fails without having done anything, fails with an unknown outcome, or does
//! not answer in time. Of `N` nodes, with a majority of `M = (N + 1) / 2`:
//!
//! | granted | held | the others failed | outcome |
//! |---|---|---|---|
//! | `M` or more | any | any | granted, if a majority surely holds the lock for a while; else a failure: it ran out |
//! | 0 | `M` or more | any | held |
//! | 1 to `M - 1` | `M` or more | any | held, if one owner has a majority; else a split vote |
//! | 1 to `M - 1` | fewer, but `M` or more with those that granted | any | a split vote |
//! | fewer than `M` with those that said held | | the rest | a failure |
//!
//! - **Granted** is answered with the grant that makes the majority; later grants are kept as well. The lock is valid
//!   for as long as a majority surely holds it, by each node's report, and no longer than the time to live less the
//!   time since the beginning of this attempt, both less the drift of clocks: a hundredth, and 2 ms.
//! - **Held**: once a majority has denied the lock, the store waits for the other nodes for as long again, or until one
//!   owner has a majority, and then answers. Fewer than `M` nodes can have granted the lock, so it is not ours.
//! - **A split vote** means that several callers each got a few nodes. The attempt's grants are given back, and after a
//!   random pause another attempt follows: 8 at most, in a quarter of the time to live, and no more than 2 s. If a
//!   majority is divided, the store waits for the nodes that have not answered for as long again, at least 50 ms. After
//!   the last attempt the lock is held, because other callers had the nodes. The outcome is unknown instead if nodes
//!   failed so that a majority of them may still keep this attempt's lock.
//! - **A failure** gives back the attempt's grants. It is [`Failure::NotDone`] if no node can have the lock after that.
//!   Else it is [`Failure::Unknown`], and `held_until` is the latest time at which such a node lets the lock go: the
//!   node's own bound if it failed, [the bound of all stores](super::late) if it did not answer, and the time to live
//!   if it granted the lock and could not be asked to give it back. The message has the number of nodes for each
//!   answer, and why nodes failed.
//!
//! A grant that arrives after the outcome, or after the caller has left, is given back, unless the lock was granted. If
//! a node failed or did not answer in time, its store gives back a late grant, as [every store](Store) does, or the
//! grant expires. It is not released by its owner's name: the node may have an earlier hold of the same owner, which
//! must not end.
//!
//! # Owners
//!
//! Nodes tell owners apart by name alone. Calls of one process about the same key and owner reach each node in turn.
//! After a release without an answer, no acquire of this owner is made for 30 seconds.
//!
//! # Fencing tokens
//!
//! The token of a grant is the largest token of the nodes. The grant is answered only when a majority of the nodes has
//! both granted the lock and noted the token. `fence.rs` explains why tokens grow then, though the clocks of the nodes
//! differ.
//!
//! # Other decisions of a majority
//!
//! | call | outcome |
//! |---|---|
//! | release | sent to all. With answers of a majority: another owner holds it if a majority reports this; released if one node released it; missing if a majority reports this |
//! | extend | extended if a majority extended it; lost if a majority does not have it for this owner |
//! | inspect | the owner that a majority has, for as long as a majority has it; nobody, if none can have one |
//! | list | the locks that a majority has, node by node |
//! | force release | sent to all: the owner that most nodes had |
//! | watch | all nodes; ends with the first change at any of them |
//!
//! If failures leave that open, the call fails, with the number of nodes for each answer.
//!
//! # Modules
//!
//! | module | what lives there |
//! |---|---|
//! | `settings`, `error` | [`QuorumSettings`], and why stores cannot be a quorum |
//! | `nodes` | the nodes, and questions to all of them at once |
//! | `lanes` | turns at one node, for the calls about one hold |
//! | `acquire`, `splits` | taking a lock, in several attempts if callers split the nodes |
//! | `attempt` | one attempt, which keeps its grants or gives them back |
//! | `ballot` | the votes of the nodes in an attempt, and the verdict |
//! | `fence` | the fencing token of a grant |
//! | `validity` | for how long a majority surely holds a lock |
//! | `release`, `node_release` | releases, at all nodes and at one of them |
//! | `extend`, `inspect`, `list`, `watch` | the other calls |
//! | `survey` | what an operator sees of the nodes |
//! | `disagreement` | the text of the error if no majority agrees |
//! | `metrics` | the counts of the nodes' answers |

mod acquire;
mod attempt;
mod ballot;
mod disagreement;
mod error;
mod extend;
mod fence;
mod inspect;
mod lanes;
mod list;
mod metrics;
mod node_release;
mod nodes;
mod release;
mod settings;
mod splits;
mod survey;
mod validity;
mod watch;

use std::{fmt, time::Duration};

use futures_util::future::BoxFuture;

use self::{attempt::Wanted, lanes::LockId, nodes::Nodes};
pub use self::{
    error::QuorumError,
    settings::{Node, QuorumSettings},
};
use super::{Acquired, Extended, Failure, Holding, KeyPage, Released, Store, Survey, Watched};

/// A store over several stores. See the [module](self).
pub struct QuorumStore(Nodes);

impl QuorumStore {
    /// Makes a store of these nodes: an odd number, at least 3. No node may depend on another. `name` is the store's,
    /// for metrics.
    ///
    /// Each store [learns](Store::join_quorum) that it is a node. If stores in Redis lead to one server under two
    /// names, only one of them takes part, even if this shows only later: the calls of the other fail. Other stores are
    /// not compared.
    ///
    /// Must be called in a Tokio runtime with time enabled. This runtime calls the nodes, and finishes the work that
    /// callers leave.
    ///
    /// ```
    /// use std::sync::Arc;
    ///
    /// use holdfast::store::{
    ///     memory::MemoryStore,
    ///     quorum::{Node, QuorumSettings, QuorumStore},
    /// };
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), holdfast::store::quorum::QuorumError> {
    /// let nodes = ["a:6379", "b:6379", "c:6379"].map(|name| Node::new(name, Arc::new(MemoryStore::new())));
    /// let store = QuorumStore::new("lockstore", nodes.into(), QuorumSettings::new())?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// See [`QuorumError`].
    pub fn new(
        name: &str,
        nodes: Vec<Node>,
        settings: QuorumSettings,
    ) -> Result<Self, QuorumError> {
        Nodes::new(name, nodes, settings).map(Self)
    }

    async fn take(
        &self,
        key: &str,
        owner: &str,
        ttl: Duration,
        fenced: bool,
    ) -> Result<Acquired, Failure> {
        self.admit(Some(ttl))?;
        acquire::acquire(&self.0, Wanted { hold: hold(key, owner), ttl, fenced }).await
    }

    /// Refuses a call after [`close`](Store::close), and a call for a lock that would last too long.
    fn admit(&self, ttl: Option<Duration>) -> Result<(), Failure> {
        if self.0.is_closed() {
            return Err(Failure::not_done("the store is closed"));
        }
        let longest = self.0.settings.longest_ttl;
        match ttl {
            Some(ttl) if ttl > longest => Err(Failure::not_done(format!(
                "a time to live of {ttl:?} is longer than quorumMaxTtl, {longest:?}: a node that lost its data stays out \
                 for no longer than that"
            ))),
            _ => Ok(()),
        }
    }
}

fn hold(key: &str, owner: &str) -> LockId {
    LockId { key: key.to_owned(), owner: owner.to_owned() }
}

impl Store for QuorumStore {
    /// See the [module](self#acquire).
    fn acquire<'a>(
        &'a self,
        key: &'a str,
        owner: &'a str,
        ttl: Duration,
    ) -> BoxFuture<'a, Result<Acquired, Failure>> {
        Box::pin(self.take(key, owner, ttl, false))
    }

    fn release<'a>(
        &'a self,
        key: &'a str,
        owner: &'a str,
    ) -> BoxFuture<'a, Result<Released, Failure>> {
        Box::pin(async move {
            self.admit(None)?;
            release::release(&self.0, hold(key, owner)).await
        })
    }

    /// See the [module](self#fencing-tokens).
    fn acquire_fenced<'a>(
        &'a self,
        key: &'a str,
        owner: &'a str,
        ttl: Duration,
    ) -> BoxFuture<'a, Result<Acquired, Failure>> {
        Box::pin(self.take(key, owner, ttl, true))
    }

    /// Succeeds when a majority has noted the token.
    fn raise_fencing_token<'a>(
        &'a self,
        key: &'a str,
        at_least: u64,
    ) -> BoxFuture<'a, Result<(), Failure>> {
        Box::pin(async move {
            self.admit(None)?;
            fence::raise(&self.0, key, at_least).await
        })
    }

    fn extend<'a>(
        &'a self,
        key: &'a str,
        owner: &'a str,
        ttl: Duration,
        may_shorten: bool,
    ) -> BoxFuture<'a, Result<Extended, Failure>> {
        Box::pin(async move {
            self.admit(Some(ttl))?;
            extend::extend(&self.0, hold(key, owner), ttl, may_shorten).await
        })
    }

    fn inspect<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Option<Holding>, Failure>> {
        Box::pin(async move {
            self.admit(None)?;
            inspect::inspect(&self.0, key, self.0.settings.patience(Duration::MAX)).await
        })
    }

    /// A page has the keys of one node, without those on other pages: it can be empty while more follow. Each lock that
    /// a majority holds throughout is listed once. While nodes fail, a lock that only a part of the nodes has is listed
    /// too.
    fn list<'a>(
        &'a self,
        prefix: &'a str,
        cursor: Option<&'a str>,
        limit: u32,
    ) -> BoxFuture<'a, Result<KeyPage, Failure>> {
        Box::pin(async move {
            self.admit(None)?;
            list::list(&self.0, prefix, cursor, limit).await
        })
    }

    fn is_cursor(&self, cursor: &str) -> bool {
        list::is_cursor(&self.0, cursor)
    }

    fn force_release<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Option<String>, Failure>> {
        Box::pin(async move {
            self.admit(None)?;
            inspect::force_release(&self.0, key).await
        })
    }

    /// The holding is the one that blocks the lock: `None` if a majority of the nodes is free.
    fn watch<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Option<Watched>> {
        Box::pin(async move {
            self.admit(None).ok()?;
            watch::watch(&self.0, key).await
        })
    }

    /// The name of each node, with the node's own description.
    fn describe(&self) -> String {
        let nodes = self.0.peers().iter().map(|peer| match peer.store.describe() {
            about if about.is_empty() => peer.name.clone(),
            about if about.starts_with(&peer.name) => about,
            about => format!("{}: {about}", peer.name),
        });
        let nodes: Vec<String> = nodes.collect();
        format!("a quorum of {} nodes: {}", nodes.len(), nodes.join("; "))
    }

    fn survey(&self) -> BoxFuture<'_, Survey> {
        Box::pin(survey::survey(&self.0))
    }

    /// Waits at most five seconds, and after a majority is closed no longer than a call waits for a node, so that a
    /// node that hangs does not delay it.
    fn close(&self) -> BoxFuture<'_, ()> {
        Box::pin(self.0.close())
    }
}

impl fmt::Debug for QuorumStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("QuorumStore").field(&self.0.names()).finish()
    }
}

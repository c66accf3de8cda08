//! Lists the locks that are held: goes through the nodes one after another, and lists each lock once.
//!
//! A lock that a majority holds is at one of any majority of the nodes, so the pages of all nodes that answer have it.
//! It is listed with the page of the first node that has it, except for nodes that were left out after a failure. All
//! nodes are asked whether a majority holds the lock. If failures leave this uncertain, the lock is listed as well.
//!
//! A cursor is the position of the node, a letter for each node (`x` for a node that was left out, else `-`), and the
//! node's own cursor, with colons in between.

use std::{sync::Arc, time::Duration};

use futures_util::{StreamExt, stream};
use tokio::time::timeout;

use super::{
    disagreement::{disagreement, late},
    inspect::most_named,
    nodes::{Nodes, Peer},
};
use crate::store::{Failure, HeldKey, Holding, KeyPage};

/// How many keys are inspected at a time.
const MAX_CONCURRENT_LOOKS: usize = 32;

/// How much longer a node may take for a page than for a call about one lock.
const PAGE_PATIENCE_FACTOR: u32 = 10;

/// Where a page begins.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Cursor {
    node: usize,
    left_out: Vec<bool>,
    /// The node's own cursor.
    inner: Option<String>,
}

/// The locks of one page of one node, or of the next node if that one fails.
pub(super) async fn list(
    nodes: &Nodes,
    prefix: &str,
    cursor: Option<&str>,
    limit: u32,
) -> Result<KeyPage, Failure> {
    let mut at = match cursor {
        None => Cursor::first(nodes.count()),
        Some(text) => Cursor::parse(text, nodes.count())
            .ok_or_else(|| Failure::not_done("the cursor does not come from an earlier page"))?,
    };
    let before = "it failed on an earlier page".to_owned();
    let left_out = at.left_out.iter().enumerate().filter(|(_, left_out)| **left_out);
    let mut failures: Vec<_> = left_out.map(|(node, _)| (node, before.clone())).collect();
    loop {
        let Some(peer) = nodes.peers().get(at.node) else {
            return Ok(KeyPage::default());
        };
        match page(nodes, peer, prefix, at.inner.as_deref(), limit).await {
            Ok(KeyPage { keys, next }) => {
                let keys = of_majority(nodes, &at, keys).await;
                return Ok(KeyPage { keys, next: at.after(next).map(|next| next.text()) });
            }
            Err(cause) => failures.push((at.node, cause)),
        }
        at.leave_out();
        if failures.len() >= nodes.majority() {
            let said = [(0, "listed their locks")];
            return Err(Failure::not_done(disagreement(&nodes.names(), &said, failures)));
        }
    }
}

/// Whether a text can be a cursor of these nodes.
pub(super) fn is_cursor(nodes: &Nodes, text: &str) -> bool {
    Cursor::parse(text, nodes.count()).is_some_and(|cursor| {
        let peer = nodes.peers().get(cursor.node);
        peer.is_some_and(|peer| cursor.inner.is_none_or(|inner| peer.store.is_cursor(&inner)))
    })
}

/// A page of a node. Fails with the cause.
async fn page(
    nodes: &Nodes,
    peer: &Peer,
    prefix: &str,
    cursor: Option<&str>,
    limit: u32,
) -> Result<KeyPage, String> {
    let patience = nodes.settings.patience(Duration::MAX).saturating_mul(PAGE_PATIENCE_FACTOR);
    match timeout(patience, peer.store.list(prefix, cursor, limit)).await {
        Ok(page) => page.map_err(|failure| failure.cause().to_owned()),
        Err(_) => Err(late(patience)),
    }
}

/// The keys of a node that a majority may hold, and that no earlier node has listed.
async fn of_majority(nodes: &Nodes, at: &Cursor, keys: Vec<HeldKey>) -> Vec<HeldKey> {
    let looks = keys.into_iter().map(|key| if_listed_here(nodes, at, key));
    stream::iter(looks)
        .buffer_unordered(MAX_CONCURRENT_LOOKS)
        .filter_map(std::future::ready)
        .collect()
        .await
}

/// The key if this page lists it; `None` if the page of another node does, or no majority may hold it.
async fn if_listed_here(nodes: &Nodes, at: &Cursor, held: HeldKey) -> Option<HeldKey> {
    let key: Arc<str> = held.key.as_str().into();
    let mut looks = nodes.ask(nodes.settings.patience(Duration::MAX), |peer| {
        let key = key.clone();
        async move { peer.store.inspect(&key).await }
    });
    looks.wait_for(|_| false).await;
    let failed_or_missing = looks.failed_or_missing();
    let looks: Vec<Option<Holding>> = looks.by_node().map(Option::flatten).collect();
    let owners = looks.iter().flatten().map(|holding| &*holding.owner);
    let (owner, most) = most_named(owners)?;
    // A page may have only the beginning of an owner.
    let is_owner = owner.starts_with(held.owner.trim_end_matches(char::REPLACEMENT_CHARACTER));
    if most + failed_or_missing < nodes.majority() || !is_owner {
        return None;
    }
    let has_it = |node: &usize| looks[*node].as_ref().is_some_and(|it| it.owner == owner);
    let earlier = (0..at.node).filter(|node| !at.left_out[*node]).any(|node| has_it(&node));
    (!earlier).then_some(held)
}

impl Cursor {
    fn first(nodes: usize) -> Self {
        Self { node: 0, left_out: vec![false; nodes], inner: None }
    }

    fn parse(text: &str, nodes: usize) -> Option<Self> {
        let mut parts = text.splitn(3, ':');
        let (node, left_out, inner) = (parts.next()?, parts.next()?, parts.next()?);
        let node: usize = node.parse().ok().filter(|node| *node < nodes)?;
        let left_out = left_out.chars().map(|letter| match letter {
            'x' => Some(true),
            '-' => Some(false),
            _ => None,
        });
        let left_out: Vec<bool> = left_out.collect::<Option<_>>()?;
        let inner = (!inner.is_empty()).then(|| inner.to_owned());
        (left_out.len() == nodes).then_some(Self { node, left_out, inner })
    }

    fn text(&self) -> String {
        let left_out = self.left_out.iter().map(|left_out| if *left_out { 'x' } else { '-' });
        let inner = self.inner.as_deref().unwrap_or_default();
        format!("{}:{}:{inner}", self.node, left_out.collect::<String>())
    }

    /// The start of the next page, after a page whose own next cursor is `next`.
    fn after(mut self, next: Option<String>) -> Option<Self> {
        if next.is_none() {
            self.node += 1;
        }
        self.inner = next;
        (self.node < self.left_out.len()).then_some(self)
    }

    /// Goes on with the next node, and leaves this one out.
    fn leave_out(&mut self) {
        if let Some(left_out) = self.left_out.get_mut(self.node) {
            *left_out = true;
        }
        self.node += 1;
        self.inner = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_read_as_it_was_written() {
        let mut cursor = Cursor::first(3);
        assert_eq!(cursor.text(), "0:---:");
        cursor.leave_out();
        let cursor = cursor.after(Some("a:b".to_owned())).unwrap();
        assert_eq!(cursor.text(), "1:x--:a:b");
        assert_eq!(Cursor::parse("1:x--:a:b", 3), Some(cursor.clone()));
        let last = cursor.after(None).unwrap();
        assert_eq!(last.text(), "2:x--:");
        assert_eq!(last.after(None), None);
        for text in ["", "0", "0:---", "3:---:", "0:--:", "0:-y-:", "-1:---:", ":---:"] {
            assert_eq!(Cursor::parse(text, 3), None, "{text}");
        }
    }
}

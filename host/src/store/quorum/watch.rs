//! Watches a lock at a majority of the nodes.

use std::{sync::Arc, time::Duration};

use futures_util::{FutureExt, StreamExt, future::BoxFuture, stream::FuturesUnordered};
use tokio::time::{Instant, timeout};

use super::{inspect::most_named, nodes::Nodes};
use crate::store::{Failure, Holding, Watched};

/// How long to wait for the other nodes after the first node has reported a change: a release reaches all of them at
/// about the same time, and a try before that finds a part of the lock.
const SETTLING: Duration = Duration::from_millis(5);

/// The shortest wait for the last nodes once a majority can be watched.
const SHORTEST_GRACE: Duration = Duration::from_millis(1);

/// Watches the lock at all nodes; `None` if fewer than a majority can be watched.
///
/// The holder holds the lock at a majority of the nodes, which has a node in common with the watched nodes. So one
/// change is enough to report: it may have made the lock free, or lost.
pub(super) async fn watch(nodes: &Nodes, key: &str) -> Option<Watched> {
    let key: Arc<str> = key.into();
    let majority = nodes.majority();
    let begun = Instant::now();
    let mut watches = nodes.ask(nodes.settings.patience(Duration::MAX), |peer| {
        let key = key.clone();
        async move { peer.store.watch(&key).await.ok_or_else(|| Failure::not_done("no watch")) }
    });
    watches.wait_for(|watches| watches.successes().count() >= majority).await;
    let rest = watches.wait_for(|_| false);
    // These nodes need about as long as the others did.
    let _ = timeout(begun.elapsed().max(SHORTEST_GRACE), rest).await;
    let (holdings, changes): (Vec<_>, Vec<_>) =
        watches.by_node().flatten().map(|Watched { holding, changed }| (holding, changed)).unzip();
    (changes.len() >= majority).then(|| Watched {
        holding: blocking(&holdings, majority),
        changed: first_and_those_with_it(changes, majority).boxed(),
    })
}

/// Ends with the first change, and the changes at other nodes that come with it.
async fn first_and_those_with_it(changes: Vec<BoxFuture<'static, ()>>, majority: usize) {
    let mut changes: FuturesUnordered<_> = changes.into_iter().collect();
    let _ = changes.next().await;
    let others = changes.take(majority - 1).for_each(|()| std::future::ready(()));
    let _ = timeout(SETTLING, others).await;
}

/// The holding that blocks the lock: `None` if a majority of the nodes is free. Else it has the owner that most nodes
/// name, and the time after which a majority is free.
fn blocking(holdings: &[Option<Holding>], majority: usize) -> Option<Holding> {
    let held: Vec<&Holding> = holdings.iter().flatten().collect();
    let free = holdings.len() - held.len();
    let still_needed = majority.checked_sub(free).filter(|needed| *needed > 0)?;
    let (owner, _) = most_named(held.iter().map(|it| &*it.owner))?;
    let mut times: Vec<u64> = held.iter().map(|it| it.time_left.unwrap_or(u64::MAX)).collect();
    times.sort_unstable();
    let left = times.get(still_needed - 1).copied().filter(|left| *left < u64::MAX);
    Some(Holding { owner: owner.to_owned(), time_left: left, fencing_token: None })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held(owner: &str, left: u64) -> Option<Holding> {
        Some(Holding { owner: owner.to_owned(), time_left: Some(left), fencing_token: None })
    }

    #[test]
    fn a_lock_is_blocked_until_a_majority_of_its_nodes_is_free() {
        for (holdings, expected) in [
            (vec![None, None, held("a", 9)], None),
            (vec![None, None], None),
            (vec![held("a", 5), held("a", 9), held("a", 7)], held("a", 7)),
            (vec![held("a", 5), held("a", 9)], held("a", 9)),
            (vec![None, held("b", 5), held("a", 3)], held("b", 3)),
            (vec![held("b", 5), held("a", 3), held("a", 8)], held("a", 5)),
        ] {
            assert_eq!(blocking(&holdings, 2), expected, "{holdings:?}");
        }
        let for_ever =
            Some(Holding { owner: "a".to_owned(), time_left: None, fencing_token: None });
        let holdings = [None, for_ever.clone(), for_ever.clone()];
        assert_eq!(blocking(&holdings, 2), for_ever);
    }

    #[tokio::test(start_paused = true)]
    async fn one_change_is_enough() {
        let never = || std::future::pending().boxed();
        let changes = vec![never(), std::future::ready(()).boxed(), never()];
        first_and_those_with_it(changes, 2).await;
        assert!(first_and_those_with_it(vec![never(), never()], 2).now_or_never().is_none());
    }
}

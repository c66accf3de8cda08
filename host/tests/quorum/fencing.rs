//! Fencing tokens grow from holder to holder, whichever majorities grant the lock and however far clocks are apart.

use std::{sync::Arc, time::Duration};

use holdfast::store::{Acquired, Failure, Store, quorum::QuorumStore};
use tokio::time::sleep;

use crate::node::{DOWN, FaultyNode, Manner, TTL, WORKS, count, quorum};

/// An hour in microseconds, the unit of fencing tokens.
const HOUR: u64 = 3_600_000_000;

async fn number(store: &QuorumStore, owner: &str) -> u64 {
    match store.acquire_fenced("k", owner, TTL).await {
        Ok(Acquired::Granted(grant)) => grant.fencing_token.unwrap(),
        other => panic!("{other:?}"),
    }
}

/// A quorum of nodes whose clocks are hours apart.
async fn with_clocks_apart(nodes: usize) -> (Vec<Arc<FaultyNode>>, QuorumStore) {
    let (nodes, store) = quorum(&vec![WORKS; nodes]);
    let Ok(Acquired::Granted(grant)) = nodes[0].memory.acquire_fenced("clock", "", TTL).await
    else {
        panic!("the memory is empty")
    };
    let now = grant.fencing_token.unwrap();
    for (hours, node) in (0..).zip(&nodes) {
        assert_eq!(node.memory.raise_fencing_token("k", now + hours * HOUR).await, Ok(()));
    }
    (nodes, store)
}

#[tokio::test]
async fn tokens_grow_over_every_series_of_majorities() {
    for (count, smallest) in [(3, 2), (5, 3)] {
        let majorities: Vec<u32> =
            (0..1 << count).filter(|set: &u32| set.count_ones() >= smallest).collect();
        for first in &majorities {
            for second in &majorities {
                let (nodes, store) = with_clocks_apart(count).await;
                let mut latest = 0;
                for (turn, works) in [first, second, first].into_iter().enumerate() {
                    for (at, node) in nodes.iter().enumerate() {
                        node.set(if works >> at & 1 == 1 { WORKS } else { DOWN });
                    }
                    let owner = turn.to_string();
                    let number = number(&store, &owner).await;
                    assert!(number > latest, "{number} after {latest}: {first:b}, then {second:b}");
                    latest = number;
                    nodes.iter().for_each(|node| node.set(WORKS));
                    assert!(store.release("k", &owner).await.is_ok());
                    holdfast_tests::eventually("all is released", async || {
                        self::count(&nodes, "k", &owner) == 0
                    })
                    .await;
                }
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_token_that_no_majority_has_noted_is_not_told() {
    let cannot = Manner { raises: false, ..WORKS };
    let (nodes, store) = quorum(&[WORKS, cannot, cannot]);
    // The token of the first node is larger than theirs.
    assert_eq!(nodes[0].memory.raise_fencing_token("k", u64::MAX / 2).await, Ok(()));
    let failure = store.acquire_fenced("k", "me", TTL).await.unwrap_err();
    let expected = "no majority of the 3 nodes: 1 noted the fencing token, 2 failed (n1:1: it cannot; \
                    n2:1: it cannot)";
    assert_eq!(failure, Failure::not_done(expected));
    assert_eq!(count(&nodes, "k", "me"), 0);
    // One node that can is enough.
    nodes[1].set(WORKS);
    assert_eq!(number(&store, "me").await, u64::MAX / 2 + 2);
}

#[tokio::test(start_paused = true)]
async fn inspect_returns_the_token_of_the_grant_whichever_node_was_late() {
    for late in 0..3 {
        let (nodes, store) = with_clocks_apart(3).await;
        nodes[late].set(Manner { waits: true, ..WORKS });
        let number = number(&store, "me").await;
        nodes[late].let_through();
        sleep(Duration::from_millis(1)).await;
        assert_eq!(count(&nodes, "k", "me"), 3);
        for down in [None, Some(0), Some(1), Some(2)] {
            nodes.iter().for_each(|node| node.set(WORKS));
            if let Some(down) = down {
                nodes[down].set(DOWN);
            }
            let holding = store.inspect("k").await.unwrap().unwrap();
            assert_eq!(holding.fencing_token, Some(number), "{late} was late, {down:?} is down");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_quorum_can_be_a_node() {
    let (nodes, store) = quorum(&[WORKS, DOWN, WORKS]);
    assert_eq!(store.raise_fencing_token("k", u64::MAX / 2).await, Ok(()));
    assert_eq!(number(&store, "me").await, u64::MAX / 2 + 1);
    nodes[0].set(DOWN);
    let failure = store.raise_fencing_token("k", 7).await.unwrap_err();
    assert!(matches!(failure, Failure::NotDone(_)), "{failure:?}");
}

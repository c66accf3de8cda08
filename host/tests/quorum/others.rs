//! The other calls that a majority decides: release, extend, inspect, list and watch.

use std::{collections::BTreeMap, time::Duration};

use futures_util::FutureExt;
use holdfast::{
    metrics::METRICS,
    store::{Acquired, Extended, Failure, Holding, Released, Store},
};
use metrics_util::debugging::{DebugValue, DebuggingRecorder};
use tokio::time::{sleep, timeout};

use crate::node::{DOWN, Manner, TTL, WORKS, assert_left, count, quorum};

const LONGER: Duration = Duration::from_secs(40);

fn is_granted(outcome: &Result<Acquired, Failure>) -> bool {
    matches!(outcome, Ok(Acquired::Granted(_)))
}

#[tokio::test(start_paused = true)]
async fn a_release_reaches_all_nodes_that_can_be_reached() {
    let (nodes, store) = quorum(&[WORKS; 5]);
    assert!(is_granted(&store.acquire("k", "me", TTL).await));
    assert_eq!(store.release("k", "you").await, Ok(Released::HeldByOther));
    nodes[0].set(DOWN);
    nodes[1].set(Manner { loses_releases: true, ..WORKS });
    assert_eq!(store.release("k", "me").await, Ok(Released::Released));
    sleep(Duration::from_secs(1)).await;
    assert_eq!(count(&nodes, "k", "me"), 1);
    assert_eq!(store.release("k", "me").await, Ok(Released::Missing));
}

#[tokio::test(start_paused = true)]
async fn a_release_without_a_majority_is_a_failure() {
    let (nodes, store) = quorum(&[WORKS; 3]);
    assert!(is_granted(&store.acquire("k", "me", TTL).await));
    nodes[0].set(DOWN);
    nodes[1].set(DOWN);
    let failure = store.release("k", "me").await.unwrap_err();
    let expected = "no majority of the 3 nodes: 1 released the lock, 0 said that nobody holds it, 0 said that another \
                    owner holds it, 2 failed (n0:1: it is down; n1:1: it is down)";
    assert_eq!(failure, Failure::unknown(expected, None));
    // Nothing more to release at the third.
    let failure = store.release("k", "me").await.unwrap_err();
    assert!(matches!(failure, Failure::NotDone(_)), "{failure:?}");
}

#[tokio::test(start_paused = true)]
async fn a_majority_extends_though_one_node_lost_the_lock() {
    let (nodes, store) = quorum(&[WORKS; 3]);
    assert!(is_granted(&store.acquire("k", "me", TTL).await));
    assert_eq!(nodes[1].memory.force_release("k").await, Ok(Some("me".to_owned())));
    let extended = store.extend("k", "me", LONGER, false).await;
    let Ok(Extended::Extended(valid_for)) = extended else { panic!("{extended:?}") };
    assert!((39_000..40_000).contains(&valid_for), "{valid_for}");
    assert_eq!(count(&nodes, "k", "me"), 2);
    assert_eq!(store.extend("k", "you", LONGER, false).await, Ok(Extended::HeldByOther));

    assert_eq!(nodes[0].memory.force_release("k").await, Ok(Some("me".to_owned())));
    assert_eq!(store.extend("k", "me", LONGER, false).await, Ok(Extended::Gone));
    for node in &nodes[..2] {
        assert!(is_granted(&node.memory.acquire("k", "you", TTL).await));
    }
    assert_eq!(store.extend("k", "me", LONGER, false).await, Ok(Extended::HeldByOther));
}

#[tokio::test(start_paused = true)]
async fn an_extend_lasts_as_long_as_it_does_at_a_majority() {
    let (nodes, store) = quorum(&[WORKS; 3]);
    assert!(is_granted(&store.acquire("k", "me", TTL).await));
    // Two nodes keep a lock that lasts longer.
    for node in &nodes[..2] {
        assert!(node.memory.extend("k", "me", LONGER, false).await.is_ok());
    }
    let extended = store.extend("k", "me", TTL, false).await;
    let Ok(Extended::Extended(valid_for)) = extended else { panic!("{extended:?}") };
    assert!((39_000..40_000).contains(&valid_for) || valid_for < 20_000, "{valid_for}");
    let extended = store.extend("k", "me", Duration::from_secs(1), true).await;
    let Ok(Extended::Extended(valid_for)) = extended else { panic!("{extended:?}") };
    assert!(valid_for < 1_000, "{valid_for}");
}

#[tokio::test(start_paused = true)]
async fn an_extend_without_a_majority_is_a_failure() {
    let (nodes, store) = quorum(&[WORKS; 3]);
    assert!(is_granted(&store.acquire("k", "me", TTL).await));
    nodes[0].set(DOWN);
    nodes[1].set(DOWN);
    let failure = store.extend("k", "me", LONGER, false).await.unwrap_err();
    assert!(failure.cause().contains("1 extended the lock"), "{failure:?}");
    assert!(matches!(failure, Failure::Unknown(_)), "{failure:?}");
    nodes[2].set(DOWN);
    let failure = store.extend("k", "me", LONGER, false).await.unwrap_err();
    assert!(matches!(failure, Failure::NotDone(_)), "{failure:?}");
}

#[tokio::test(start_paused = true)]
async fn inspect_returns_what_a_majority_has() {
    let (nodes, store) = quorum(&[WORKS; 3]);
    assert_eq!(store.inspect("k").await, Ok(None));
    let owner = |holding: Result<Option<Holding>, Failure>| {
        holding.unwrap().map(|holding| (holding.owner, holding.time_left.unwrap() / 1_000))
    };
    assert!(is_granted(&nodes[0].memory.acquire("k", "me", TTL).await));
    assert_eq!(owner(store.inspect("k").await), None);
    assert!(is_granted(&nodes[1].memory.acquire("k", "me", LONGER).await));
    assert_eq!(owner(store.inspect("k").await), Some(("me".to_owned(), 20)));
    assert!(is_granted(&nodes[2].memory.acquire("k", "you", LONGER).await));
    assert_eq!(owner(store.inspect("k").await), Some(("me".to_owned(), 20)));
    // It is unknown whether the last node makes it a majority.
    nodes[0].set(DOWN);
    let failure = store.inspect("k").await.unwrap_err();
    assert!(matches!(failure, Failure::NotDone(_)), "{failure:?}");
    assert_eq!(store.inspect("free").await, Ok(None));
}

#[tokio::test(start_paused = true)]
async fn an_operator_ends_a_hold_at_all_nodes() {
    let (nodes, store) = quorum(&[WORKS; 3]);
    assert_eq!(store.force_release("k").await, Ok(None));
    assert!(is_granted(&nodes[0].memory.acquire("k", "you", TTL).await));
    assert!(is_granted(&store.acquire("k", "me", TTL).await));
    assert_eq!(store.force_release("k").await, Ok(Some("me".to_owned())));
    assert_eq!(count(&nodes, "k", "me") + count(&nodes, "k", "you"), 0);
    nodes[0].set(DOWN);
    nodes[1].set(DOWN);
    assert!(store.force_release("k").await.is_err());
}

/// Waits until the watch reports a change.
async fn assert_told(changed: impl Future<Output = ()>) {
    assert_eq!(timeout(TTL / 2, changed).await, Ok(()));
}

/// Every key of all pages, with the number of times that it was listed.
async fn listed(store: &dyn Store) -> BTreeMap<String, usize> {
    let mut told = BTreeMap::new();
    let mut cursor = None;
    loop {
        let page = store.list("k", cursor.as_deref(), 3).await.unwrap();
        for held in page.keys {
            assert_eq!(held.owner, "me", "{}", held.key);
            *told.entry(held.key).or_default() += 1;
        }
        cursor = page.next;
        let Some(next) = &cursor else { return told };
        assert!(store.is_cursor(next), "{next}");
    }
}

#[tokio::test(start_paused = true)]
async fn each_lock_of_a_majority_is_listed_once() {
    let (nodes, store) = quorum(&[WORKS; 3]);
    let mut all = BTreeMap::new();
    for number in 0..10 {
        let key = format!("k{number}");
        // Each is missing at another node.
        for (at, node) in nodes.iter().enumerate() {
            if number % 4 != at {
                assert!(is_granted(&node.memory.acquire(&key, "me", TTL).await));
            }
        }
        all.insert(key, 1);
    }
    assert!(is_granted(&nodes[1].memory.acquire("k alone", "me", TTL).await));
    assert!(is_granted(&store.acquire("other", "me", TTL).await));
    assert_eq!(listed(&store).await, all);
    for down in 0..3 {
        nodes.iter().for_each(|node| node.set(WORKS));
        nodes[down].set(DOWN);
        let mut seen = listed(&store).await;
        // While a node is down, it may have what one other has.
        seen.remove("k alone");
        assert_eq!(seen, all, "without node {down}");
    }
    // With two nodes down, the pages end before the last.
    nodes[0].set(DOWN);
    let mut outcome = store.list("k", None, 1_000).await;
    while let Ok(page) = &outcome {
        let next = page.next.clone().expect("another page");
        outcome = store.list("k", Some(&next), 1_000).await;
    }
    let failure = outcome.unwrap_err();
    let expected = "no majority of the 3 nodes: 0 listed their locks, 2 failed (n0:1: it failed on an earlier page; \
                    n2:1: it is down)";
    assert_eq!(failure, Failure::not_done(expected));
    assert!(!store.is_cursor("nonsense"));
    let failure = store.list("k", Some("nonsense"), 3).await.unwrap_err();
    assert_eq!(failure, Failure::not_done("the cursor does not come from an earlier page"));
}

#[tokio::test(start_paused = true)]
async fn a_node_that_fails_between_two_pages_hides_no_lock() {
    let (nodes, store) = quorum(&[WORKS; 3]);
    for number in 0..6 {
        assert!(is_granted(&store.acquire(&format!("k{number}"), "me", TTL).await));
    }
    sleep(Duration::from_secs(1)).await;
    let page = store.list("k", None, 3).await.unwrap();
    let mut seen: Vec<String> = page.keys.into_iter().map(|held| held.key).collect();
    let mut cursor = page.next;
    nodes[0].set(DOWN);
    let page = store.list("k", cursor.as_deref(), 3).await.unwrap();
    // It works again, but its page was left out.
    nodes[0].set(WORKS);
    seen.extend(page.keys.into_iter().map(|held| held.key));
    cursor = page.next;
    while let Some(next) = cursor {
        let page = store.list("k", Some(&next), 3).await.unwrap();
        seen.extend(page.keys.into_iter().map(|held| held.key));
        cursor = page.next;
    }
    seen.sort();
    seen.dedup();
    assert_eq!(seen, ["k0", "k1", "k2", "k3", "k4", "k5"]);
}

#[tokio::test(start_paused = true)]
async fn watchers_are_notified_of_a_release() {
    let (nodes, store) = quorum(&[WORKS, DOWN, WORKS]);
    let watched = store.watch("k").await.unwrap();
    assert_eq!(watched.holding, None);
    assert!(is_granted(&store.acquire("k", "me", TTL).await));
    assert_told(watched.changed).await;
    let mut watched = store.watch("k").await.unwrap();
    let holding = watched.holding.unwrap();
    assert_eq!((&*holding.owner, holding.time_left.unwrap() / 1_000), ("me", 20));
    sleep(Duration::from_secs(1)).await;
    assert!((&mut watched.changed).now_or_never().is_none());
    assert_eq!(store.release("k", "me").await, Ok(Released::Released));
    assert_told(watched.changed).await;
    assert_left(&nodes, "k", "me").await;

    nodes[0].set(DOWN);
    assert!(store.watch("k").await.is_none());
}

#[tokio::test(start_paused = true)]
async fn watchers_are_notified_of_a_loss_at_one_node() {
    let (nodes, store) = quorum(&[WORKS; 3]);
    assert!(is_granted(&store.acquire("k", "me", TTL).await));
    sleep(Duration::from_secs(1)).await;
    for node in &nodes {
        let watched = store.watch("k").await.unwrap();
        assert_eq!(node.memory.force_release("k").await, Ok(Some("me".to_owned())));
        assert_told(watched.changed).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_quorum_is_described_by_its_nodes() {
    let (_nodes, store) = quorum(&[WORKS; 3]);
    assert_eq!(store.describe(), "a quorum of 3 nodes: n0:1; n1:1; n2:1");
    assert_eq!(format!("{store:?}"), r#"QuorumStore(["n0:1", "n1:1", "n2:1"])"#);
    let survey = store.survey().await;
    let servers: Vec<_> = survey.servers.into_iter().map(|server| server.address).collect();
    assert_eq!(servers, ["n0:1", "n1:1", "n2:1"]);
    let expected = "A lock is held where 2 of 3 servers have it: any 1 of them may fail or lose its data within \
                    quorumMaxTtl.";
    assert_eq!(survey.promise, expected);
}

#[tokio::test(start_paused = true)]
async fn the_answers_of_each_node_are_counted() {
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    let (_nodes, store) = metrics::with_local_recorder(&recorder, || quorum(&[WORKS, WORKS, DOWN]));
    assert!(is_granted(&store.acquire("k", "me", TTL).await));
    assert_eq!(store.acquire("k", "you", TTL).await, Ok(Acquired::Held));
    assert!(store.extend("k", "me", TTL, false).await.is_ok());
    assert_eq!(store.release("k", "me").await, Ok(Released::Released));
    sleep(Duration::from_secs(1)).await;
    let name = "holdfast_quorum_node_answers_total";
    let labels = METRICS.iter().find(|metric| metric.name == name).unwrap().labels;
    assert_eq!(labels, ["store", "node", "operation", "outcome"]);
    let seen = snapshotter.snapshot().into_vec().into_iter().filter_map(|(key, _, _, value)| {
        let key = key.key();
        let labels: Vec<_> = key.labels().map(|label| label.value().to_owned()).collect();
        match value {
            DebugValue::Counter(count) if key.name() == name && count > 0 => {
                Some((labels.join(" "), count))
            }
            _ => None,
        }
    });
    let expected = [
        ("s n0:1 acquire granted", 1),
        ("s n0:1 acquire held", 1),
        ("s n0:1 extend extended", 1),
        ("s n0:1 release released", 1),
        ("s n1:1 acquire granted", 1),
        ("s n1:1 acquire held", 1),
        ("s n1:1 extend extended", 1),
        ("s n1:1 release released", 1),
        ("s n2:1 acquire not_done", 2),
        ("s n2:1 extend not_done", 1),
        ("s n2:1 release not_done", 1),
    ];
    let expected: BTreeMap<_, u64> = expected.map(|(name, count)| (name.to_owned(), count)).into();
    assert_eq!(seen.collect::<BTreeMap<_, _>>(), expected);
}

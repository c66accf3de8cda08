//! Callers who leave, and answers that come after the outcome: nothing is left behind.

use std::time::Duration;

use holdfast::store::{Acquired, Failure, Released, Store};
use tokio::time::{sleep, timeout};

use crate::node::{Act, DOWN, Manner, TTL, WORKS, Way, assert_left, count, quorum};

#[tokio::test(start_paused = true)]
async fn a_caller_who_leaves_at_any_moment_keeps_nothing() {
    let after = |ms| Manner { way: Way::To(Duration::from_millis(ms)), ..WORKS };
    let hangs = Manner { act: Act::Hang { set: true }, ..WORKS };
    for fenced in [false, true] {
        for manners in [
            [after(10), after(20), after(30)],
            [after(10), after(10), after(10)],
            [after(10), DOWN, after(30)],
            [after(10), hangs, after(30)],
            [hangs, hangs, after(10)],
        ] {
            for left_after in [0, 5, 10, 15, 20, 25, 29] {
                let (nodes, store) = quorum(&manners);
                let acquiring = async {
                    match fenced {
                        true => store.acquire_fenced("k", "me", TTL).await,
                        false => store.acquire("k", "me", TTL).await,
                    }
                };
                let outcome = timeout(Duration::from_millis(left_after), acquiring).await;
                if matches!(outcome, Ok(Ok(Acquired::Granted(_)))) {
                    continue;
                }
                sleep(Duration::from_secs(1)).await;
                assert_eq!(count(&nodes, "k", "me"), 0, "{manners:?}, after {left_after} ms");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_caller_who_never_looks_takes_nothing() {
    let (nodes, store) = quorum(&[WORKS; 3]);
    drop(store.acquire("k", "me", TTL));
    sleep(Duration::from_secs(1)).await;
    assert!(nodes.iter().all(|node| node.calls("acquire") == 0));
}

#[tokio::test(start_paused = true)]
async fn a_grant_that_comes_after_the_outcome_is_a_part_of_the_hold() {
    let waits = Manner { waits: true, ..WORKS };
    let (nodes, store) = quorum(&[WORKS, waits, WORKS]);
    assert!(matches!(store.acquire("k", "me", TTL).await, Ok(Acquired::Granted(_))));
    nodes[1].let_through();
    sleep(Duration::from_secs(1)).await;
    assert_eq!(count(&nodes, "k", "me"), 3);
    assert_eq!(store.release("k", "me").await, Ok(Released::Released));
    assert_left(&nodes, "k", "me").await;
}

#[tokio::test(start_paused = true)]
async fn a_release_frees_also_a_node_that_grants_after_it() {
    let late = Manner { way: Way::To(Duration::from_millis(100)), ..WORKS };
    let (nodes, store) = quorum(&[WORKS, late, WORKS]);
    assert!(matches!(store.acquire("k", "me", TTL).await, Ok(Acquired::Granted(_))));
    assert_eq!(store.release("k", "me").await, Ok(Released::Released));
    sleep(Duration::from_secs(1)).await;
    assert_eq!(count(&nodes, "k", "me"), 0);
}

#[tokio::test(start_paused = true)]
async fn a_forced_release_frees_also_a_node_that_grants_meanwhile() {
    let late = Manner { way: Way::To(Duration::from_millis(100)), ..WORKS };
    let (nodes, store) = quorum(&[WORKS, late, WORKS]);
    assert!(matches!(store.acquire("k", "me", TTL).await, Ok(Acquired::Granted(_))));
    assert_eq!(store.force_release("k").await, Ok(Some("me".to_owned())));
    sleep(Duration::from_secs(1)).await;
    assert_eq!(count(&nodes, "k", "me"), 0);
}

#[tokio::test(start_paused = true)]
async fn a_forced_release_does_not_wait_for_a_node_that_hangs() {
    let hangs = Manner { act: Act::Hang { set: true }, ..WORKS };
    let (nodes, store) = quorum(&[WORKS, hangs, WORKS]);
    let acquiring = store.acquire("k", "me", TTL);
    assert!(matches!(acquiring.await, Ok(Acquired::Granted(_))));
    nodes[1].set(Manner { way: Way::To(TTL), ..WORKS });
    // A release keeps its turn there until it is answered.
    assert_eq!(store.release("k", "me").await, Ok(Released::Released));
    assert!(matches!(store.acquire("k", "you", TTL).await, Ok(Acquired::Granted(_))));
    let released = timeout(Duration::from_millis(1_001), store.force_release("k")).await;
    assert_eq!(released, Ok(Ok(Some("you".to_owned()))));
    assert_eq!(count(&nodes, "k", "you"), 0);
}

#[tokio::test(start_paused = true)]
async fn a_grant_that_comes_after_the_lock_was_denied_is_given_back() {
    let waits = Manner { waits: true, ..WORKS };
    let (nodes, store) = quorum(&[WORKS, waits, WORKS]);
    for node in [0, 2] {
        assert!(nodes[node].memory.acquire("k", "you", TTL).await.is_ok());
    }
    // It is denied although the second node has not answered yet.
    assert_eq!(store.acquire("k", "me", TTL).await, Ok(Acquired::Held));
    assert_eq!(nodes[1].owner("k").as_deref(), Some("me"));
    nodes[1].let_through();
    assert_left(&nodes, "k", "me").await;
    assert_eq!(count(&nodes, "k", "you"), 2);
}

#[tokio::test(start_paused = true)]
async fn a_second_acquire_of_the_holder_takes_nothing_from_it() {
    let (nodes, store) = quorum(&[WORKS; 3]);
    assert!(matches!(store.acquire("k", "me", TTL).await, Ok(Acquired::Granted(_))));
    for act in [Act::Hang { set: true }, Act::Lose { set: true }, Act::Work] {
        nodes[2].set(Manner { act, ..WORKS });
        assert_eq!(store.acquire("k", "me", TTL).await, Ok(Acquired::Held));
        sleep(Duration::from_secs(1)).await;
        assert_eq!(count(&nodes, "k", "me"), 3, "{act:?}");
    }
    // Nor if the replies of a majority are lost.
    nodes[1].set(Manner { act: Act::Lose { set: true }, ..WORKS });
    nodes[2].set(Manner { act: Act::Lose { set: true }, ..WORKS });
    let failure = store.acquire("k", "me", TTL).await.unwrap_err();
    assert!(matches!(failure, Failure::Unknown(_)), "{failure:?}");
    sleep(Duration::from_secs(1)).await;
    assert_eq!(count(&nodes, "k", "me"), 3);
    // Nor if no reply arrives at all.
    for act in [Act::Lose { set: true }, Act::Lose { set: false }, Act::Hang { set: true }] {
        nodes.iter().for_each(|node| node.set(Manner { act, ..WORKS }));
        let failure = store.acquire("k", "me", TTL).await.unwrap_err();
        assert!(matches!(failure, Failure::Unknown(_)), "{failure:?}");
        nodes.iter().for_each(|node| node.set(WORKS));
        sleep(Duration::from_secs(1)).await;
        assert_eq!(count(&nodes, "k", "me"), 3, "{act:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn closing_waits_for_what_is_given_back_and_closes_all_nodes() {
    let waits = Manner { waits: true, ..WORKS };
    let (nodes, store) = quorum(&[WORKS, waits, DOWN]);
    let left = timeout(Duration::from_millis(1), store.acquire("k", "me", TTL)).await;
    assert!(left.is_err());
    assert_eq!(count(&nodes, "k", "me"), 2);
    nodes[0].set(Manner { way: Way::To(Duration::from_millis(100)), ..WORKS });
    nodes[1].let_through();
    store.close().await;
    assert_eq!(count(&nodes, "k", "me"), 0);
    assert!(nodes.iter().all(|node| node.is_closed()));
    let closed = Failure::not_done("the store is closed");
    assert_eq!(store.acquire("k", "me", TTL).await, Err(closed.clone()));
    assert_eq!(store.release("k", "me").await, Err(closed.clone()));
    assert_eq!(store.extend("k", "me", TTL, false).await, Err(closed.clone()));
    assert_eq!(store.inspect("k").await, Err(closed));
    assert!(store.watch("k").await.is_none());
}

#[tokio::test(start_paused = true)]
async fn closing_does_not_wait_for_nodes_that_hang() {
    let hangs = Manner { act: Act::Hang { set: true }, ..WORKS };
    let loses = Manner { loses_releases: true, ..WORKS };
    let (nodes, store) = quorum(&[hangs, DOWN, loses]);
    let failure = store.acquire("k", "me", TTL).await.unwrap_err();
    assert!(matches!(failure, Failure::Unknown(_)), "{failure:?}");
    let closing = timeout(Duration::from_secs(1), store.close()).await;
    assert_eq!(closing, Ok(()));
    assert!(nodes.iter().all(|node| node.is_closed()));
}

#[tokio::test(start_paused = true)]
async fn closing_waits_no_longer_than_a_call_for_one_node_that_answers_nothing() {
    let (nodes, store) = quorum(&[WORKS; 3]);
    assert!(matches!(store.acquire("k", "me", TTL).await, Ok(Acquired::Granted(_))));
    nodes[1].set(Manner { way: Way::To(TTL), ..WORKS });
    assert_eq!(store.release("k", "me").await, Ok(Released::Released));
    // Each node has half a second.
    let closing = timeout(Duration::from_millis(501), store.close()).await;
    assert_eq!(closing, Ok(()));
    assert!(nodes.iter().all(|node| node.is_closed()));
}

#[tokio::test(start_paused = true)]
async fn closing_ends_though_no_node_answers() {
    let (nodes, store) = quorum(&[WORKS; 3]);
    nodes.iter().for_each(|node| node.set(Manner { way: Way::To(TTL), ..WORKS }));
    let failure = store.release("k", "me").await.unwrap_err();
    assert!(matches!(failure, Failure::Unknown(_)), "{failure:?}");
    let closing = timeout(Duration::from_millis(5_001), store.close()).await;
    assert_eq!(closing, Ok(()));
    assert!(nodes.iter().all(|node| node.is_closed()));
}

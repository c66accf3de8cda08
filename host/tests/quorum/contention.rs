//! Several callers at once: one of them has the lock, and never two.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use futures_util::future::join_all;
use holdfast::store::{
    Acquired, Released, Store,
    memory::MemoryStore,
    quorum::{Node, QuorumSettings, QuorumStore},
};
use tokio::time::{sleep, timeout};

use crate::node::{Act, FaultyNode, Manner, TTL, WORKS, Way, quorum};

const CALLERS: usize = 8;

/// A store over the same nodes for each of this many callers, as if each were a process.
fn stores(
    nodes: usize,
    callers: usize,
    way: impl Fn(usize, usize) -> Way,
) -> (Vec<Arc<MemoryStore>>, Vec<QuorumStore>) {
    let nodes: Vec<_> = (0..nodes).map(|_| Arc::new(MemoryStore::new())).collect();
    let store = |caller| {
        let named = nodes.iter().enumerate().map(|(at, node)| {
            let manner = Manner { way: way(caller, at), ..WORKS };
            Node::new(at.to_string(), FaultyNode::over(node.clone(), manner))
        });
        QuorumStore::new("s", named.collect(), QuorumSettings::new()).unwrap()
    };
    let stores = (0..callers).map(store).collect();
    (nodes, stores)
}

/// Has all callers try at once, and returns who got the lock.
async fn round(stores: &[QuorumStore], key: &str) -> Vec<usize> {
    let tries = stores.iter().enumerate().map(|(caller, store)| async move {
        let outcome = store.acquire(key, &caller.to_string(), TTL).await;
        match outcome {
            Ok(Acquired::Granted(_)) => Some(caller),
            Ok(Acquired::Held) => None,
            Err(failure) => panic!("{failure:?}"),
        }
    });
    join_all(tries).await.into_iter().flatten().collect()
}

async fn one_winner_each_round((nodes, stores): (Vec<Arc<MemoryStore>>, Vec<QuorumStore>)) {
    fastrand::seed(7);
    for number in 0..100 {
        let key = number.to_string();
        let winners = round(&stores, &key).await;
        assert_eq!(winners.len(), 1, "{winners:?} in round {number}");
        let winner = winners[0];
        let released = stores[winner].release(&key, &winner.to_string()).await;
        assert_eq!(released, Ok(Released::Released));
        sleep(Duration::from_secs(1)).await;
        for node in &nodes {
            assert_eq!(node.inspect(&key).await, Ok(None), "round {number}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn of_eight_callers_at_once_on_three_nodes_one_wins_each_round() {
    one_winner_each_round(stores(3, CALLERS, |_, _| Way::Any)).await;
}

#[tokio::test(start_paused = true)]
async fn of_eight_callers_at_once_on_five_nodes_one_wins_each_round() {
    one_winner_each_round(stores(5, CALLERS, |_, _| Way::Any)).await;
}

#[tokio::test(start_paused = true)]
async fn callers_who_each_are_next_to_another_node_do_not_collide_for_ever() {
    let way = |caller, node| {
        let near = caller == node;
        Way::Each(Duration::from_millis(if near { 1 } else { 3 }))
    };
    one_winner_each_round(stores(3, 3, way)).await;
}

#[tokio::test(start_paused = true)]
async fn no_two_hold_it_at_a_time_over_many_turns() {
    fastrand::seed(11);
    let (_nodes, stores) = stores(3, CALLERS, |_, _| Way::Any);
    let inside = AtomicUsize::new(0);
    let caller = |caller: usize| {
        let (store, inside) = (&stores[caller], &inside);
        async move {
            let mut turns = 0;
            while turns < 10 {
                let owner = format!("{caller}, turn {turns}");
                if !matches!(store.acquire("k", &owner, TTL).await, Ok(Acquired::Granted(_))) {
                    sleep(Duration::from_millis(fastrand::u64(1..50))).await;
                    continue;
                }
                assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0, "two hold the lock");
                sleep(Duration::from_millis(3)).await;
                inside.fetch_sub(1, Ordering::SeqCst);
                assert_eq!(store.release("k", &owner).await, Ok(Released::Released));
                turns += 1;
            }
        }
    };
    join_all((0..CALLERS).map(caller)).await;
}

#[tokio::test(start_paused = true)]
async fn a_node_that_stands_still_does_not_use_up_the_time_of_a_split_vote() {
    let hangs = Manner { act: Act::Hang { set: false }, ..WORKS };
    let (nodes, store) = quorum(&[WORKS, WORKS, hangs]);
    // The lock of another owner is about to be released.
    assert!(nodes[1].memory.acquire("k", "you", TTL).await.is_ok());
    let releasing = async {
        sleep(Duration::from_millis(20)).await;
        assert_eq!(nodes[1].memory.release("k", "you").await, Ok(Released::Released));
    };
    // A node is waited for half a second.
    let acquiring = timeout(Duration::from_millis(400), store.acquire("k", "me", TTL));
    let (outcome, ()) = tokio::join!(acquiring, releasing);
    assert!(matches!(outcome, Ok(Ok(Acquired::Granted(_)))), "{outcome:?}");
}

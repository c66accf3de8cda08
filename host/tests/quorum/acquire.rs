//! Every outcome of every node, in every order of arrival, against a specification that does not know the code.

use std::time::{Duration, SystemTime};

use holdfast::store::{Acquired, Failure, Store};
use proptest::prelude::*;
use tokio::time::sleep;

use crate::node::{Act, DOWN, Manner, QUIET, TTL, WORKS, Way, count, quorum};

/// The answer of a node to an acquire by `me`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Says {
    Granted,
    /// One other owner has the lock, at each node that answers so.
    Held,
    /// Another owner has the lock at this node alone.
    Shared,
    Refused,
    LostGrant,
    Lost,
    HungGrant,
    Hung,
}

const ALL: [Says; 8] = [
    Says::Granted,
    Says::Held,
    Says::Shared,
    Says::Refused,
    Says::LostGrant,
    Says::Lost,
    Says::HungGrant,
    Says::Hung,
];

/// The expected answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Expected {
    Granted,
    Held,
    NotDone,
    Unknown,
}

/// The specification: it only counts the answers of the nodes.
fn expected(says: &[Says]) -> Expected {
    let count = |which: &[Says]| says.iter().filter(|it| which.contains(it)).count();
    let majority = says.len() / 2 + 1;
    let granted = count(&[Says::Granted]);
    let held = count(&[Says::Held, Says::Shared]);
    if granted >= majority {
        return Expected::Granted;
    }
    // A majority answered, and others have the lock at the nodes that did not grant it.
    if held > 0 && granted + held >= majority && (granted > 0 || held >= majority) {
        return Expected::Held;
    }
    match count(&[Says::LostGrant, Says::Lost, Says::HungGrant, Says::Hung]) {
        0 => Expected::NotDone,
        _ => Expected::Unknown,
    }
}

fn manner(says: Says, delay: Duration) -> Manner {
    let act = match says {
        Says::Granted | Says::Held | Says::Shared => Act::Work,
        Says::Refused => Act::Refuse,
        Says::LostGrant => Act::Lose { set: true },
        Says::Lost => Act::Lose { set: false },
        Says::HungGrant => Act::Hang { set: true },
        Says::Hung => Act::Hang { set: false },
    };
    Manner { act, way: Way::To(delay), ..WORKS }
}

/// Takes the lock at nodes that answer `says`, the node at `order[i]` as the i-th. Checks the answer, and what is left
/// at the nodes.
async fn check(says: &[Says], order: &[usize]) {
    let delay = |node: usize| {
        let place = order.iter().position(|it| *it == node).unwrap();
        Duration::from_millis(7 * (place as u64 + 1))
    };
    let manners: Vec<Manner> =
        says.iter().enumerate().map(|(node, it)| manner(*it, delay(node))).collect();
    let (nodes, store) = quorum(&manners);
    for (at, (node, says)) in nodes.iter().zip(says).enumerate() {
        let other = match says {
            Says::Held => "holder".to_owned(),
            Says::Shared => format!("holder {at}"),
            _ => continue,
        };
        assert!(node.memory.acquire("k", &other, 1_000 * TTL).await.is_ok());
    }
    let context = format!("{says:?} in the order {order:?}");
    let outcome = store.acquire("k", "me", TTL).await;
    let seen = match &outcome {
        Ok(Acquired::Granted(grant)) => {
            let valid_for = grant.valid_for.unwrap();
            assert!((19_000..20_000).contains(&valid_for), "{valid_for}: {context}");
            Expected::Granted
        }
        Ok(Acquired::Held) => Expected::Held,
        Err(Failure::NotDone(_)) => Expected::NotDone,
        Err(Failure::Unknown(_)) => Expected::Unknown,
    };
    assert_eq!(seen, expected(says), "{outcome:?}: {context}");
    if let Err(failure) = &outcome {
        let words = format!("no majority of the {} nodes: ", says.len());
        assert!(failure.cause().starts_with(&words), "{failure:?}: {context}");
    }
    if let Err(Failure::Unknown(unknown)) = &outcome {
        // Each lock that may be left here began after this test did.
        let until = unknown.held_until().unwrap();
        assert!(until > SystemTime::now() + TTL - Duration::from_secs(5), "{context}");
    }
    let holder = says.iter().filter(|it| **it == Says::Held).count();
    let asked = nodes[0].calls("acquire");
    if seen == Expected::Held && holder > says.len() / 2 {
        assert_eq!(asked, 1, "a lock with a holder was tried again: {context}");
    }

    sleep(Duration::from_secs(1)).await;
    for (node, says) in nodes.iter().zip(says) {
        let ours = node.owner("k").as_deref() == Some("me");
        match says {
            Says::Granted => assert_eq!(ours, seen == Expected::Granted, "{context}"),
            // The store cannot tell it from an earlier hold of the same owner, so it is left to expire.
            Says::LostGrant => {}
            _ => assert!(!ours, "{context}"),
        }
    }
    if seen == Expected::NotDone {
        assert_eq!(count(&nodes, "k", "me"), 0, "{context}");
    }
    drop(store);
}

/// Every order of the numbers below `n`.
fn orders(n: usize) -> Vec<Vec<usize>> {
    if n == 0 {
        return vec![Vec::new()];
    }
    let shorter = orders(n - 1);
    let all = shorter.iter().flat_map(|order| {
        (0..n).map(move |place| {
            let mut order = order.clone();
            order.insert(place, n - 1);
            order
        })
    });
    all.collect()
}

#[tokio::test(start_paused = true)]
async fn three_nodes_in_every_state_and_order() {
    for order in orders(3) {
        for code in 0..ALL.len().pow(3) {
            let says = [0, 1, 2].map(|node| ALL[code / ALL.len().pow(node) % ALL.len()]);
            check(&says, &order).await;
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(1_500) })]

    #[test]
    fn five_nodes_in_any_state_and_order(
        says in proptest::array::uniform5(proptest::sample::select(&ALL[..])),
        order in Just(vec![0, 1, 2, 3, 4]).prop_shuffle(),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        runtime.block_on(check(&says, &order));
    }
}

#[tokio::test(start_paused = true)]
async fn the_message_says_how_many_of_the_nodes_said_what() {
    let hangs = Manner { act: Act::Hang { set: false }, ..WORKS };
    let (_nodes, store) = quorum(&[WORKS, DOWN, hangs]);
    let failure = store.acquire("k", "me", TTL).await.unwrap_err();
    let expected = "no majority of the 3 nodes: 1 granted the lock, 0 said that it is held, 2 failed \
                    (n1:1: it is full; n2:1: no answer within 500ms)";
    assert_eq!(failure.cause(), expected);
}

#[tokio::test(start_paused = true)]
async fn a_lock_that_runs_out_while_the_nodes_answer_is_not_granted() {
    let slow = Manner { way: Way::To(Duration::from_millis(45)), ..WORKS };
    let (nodes, store) = quorum(&[slow; 3]);
    let failure = store.acquire("k", "me", Duration::from_millis(46)).await.unwrap_err();
    assert_eq!(failure, Failure::not_done("the lock ran out before the reply came"));
    assert_eq!(count(&nodes, "k", "me"), 0);
    let outcome = store.acquire("k", "me", Duration::from_millis(60)).await;
    let Ok(Acquired::Granted(grant)) = outcome else { panic!("{outcome:?}") };
    // Less the 45 ms that are over, a hundredth, and 2 ms.
    assert_eq!(grant.valid_for, Some(12));
}

#[tokio::test(start_paused = true)]
async fn a_grant_is_valid_as_long_as_a_majority_says_and_no_longer_than_its_time_to_live() {
    for (told, expected) in [
        // Less a hundredth, and 2 ms.
        ([1_000, 5_000, 9_000], 988),
        ([9_000, 1_000, 5_000], 988),
        ([9_000, 5_000, 1_000], 4_948),
        // From the beginning, 100 ms before.
        ([20_000, 20_000, 20_000], 19_698),
        ([60_000, 60_000, 1_000], 19_698),
    ] {
        let way = Way::To(Duration::from_millis(100));
        let manners = told.map(|told| Manner { valid_for: Some(told), way, ..WORKS });
        let (_nodes, store) = quorum(&manners);
        let outcome = store.acquire("k", "me", TTL).await;
        let Ok(Acquired::Granted(grant)) = outcome else { panic!("{outcome:?}") };
        assert_eq!(grant.valid_for, Some(expected), "{told:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_time_to_live_that_is_too_long_is_refused() {
    let (nodes, store) = quorum(&[WORKS; 3]);
    let long = Duration::from_millis(60_001);
    for failure in [
        store.acquire("k", "me", long).await.unwrap_err(),
        store.acquire_fenced("k", "me", long).await.unwrap_err(),
        store.extend("k", "me", long, false).await.unwrap_err(),
    ] {
        assert!(failure.cause().contains("quorumMaxTtl"), "{failure:?}");
        assert!(matches!(failure, Failure::NotDone(_)), "{failure:?}");
    }
    assert!(nodes.iter().all(|node| node.calls("acquire") + node.calls("extend") == 0));
    assert!(store.acquire("k", "me", Duration::from_secs(60)).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn after_a_release_that_may_come_late_a_node_does_not_count_for_its_owner() {
    let loses = Manner { loses_releases: true, ..WORKS };
    let (nodes, store) = quorum(&[DOWN, DOWN, loses]);
    let failure = store.acquire("k", "me", TTL).await.unwrap_err();
    assert!(matches!(failure, Failure::Unknown(_)), "{failure:?}");
    nodes[0].set(WORKS);
    nodes[2].set(WORKS);
    let failure = store.acquire("k", "me", TTL).await.unwrap_err();
    assert!(
        failure.cause().contains("an earlier release of this owner was not answered"),
        "{failure:?}"
    );
    assert_eq!(count(&nodes, "k", "me"), 0);
    // Another owner is not affected, and neither is this one later.
    assert!(matches!(store.acquire("k", "you", TTL).await, Ok(Acquired::Granted(_))));
    assert!(store.release("k", "you").await.is_ok());
    sleep(QUIET).await;
    assert!(matches!(store.acquire("k", "me", TTL).await, Ok(Acquired::Granted(_))));
}

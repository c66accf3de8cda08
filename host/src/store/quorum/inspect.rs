//! Finds the holder of a lock at a majority of the nodes, and ends any hold.

use std::{cmp::Reverse, collections::HashMap, sync::Arc, time::Duration};

use super::{
    node_release::force_release_in_turn,
    nodes::{NodeAnswers, Nodes},
};
use crate::store::{Failure, Holding};

type Looks = NodeAnswers<Option<Holding>>;

/// The holder of the lock at a majority of the nodes. Fails if failures of nodes leave this unknown.
pub(super) async fn inspect(
    nodes: &Nodes,
    key: &str,
    patience: Duration,
) -> Result<Option<Holding>, Failure> {
    let key: Arc<str> = key.into();
    let mut looks = nodes.ask(patience, |peer| {
        let key = key.clone();
        async move { peer.store.inspect(&key).await }
    });
    looks.wait_for(|looks| found(looks, nodes, looks.missing()).is_some()).await;
    found(&looks, nodes, 0).ok_or_else(|| {
        let held = looks.count(Option::is_some);
        let free = looks.count(Option::is_none);
        let said = [(held, "said that it is held"), (free, "said that nobody holds it")];
        // An inspect changes nothing.
        Failure::not_done(looks.failure(nodes, &said, false).cause())
    })
}

/// The holder of the lock, or `Some(None)` for a free lock; `None` if this is not certain yet. `to_come` more answers
/// may follow.
fn found(looks: &Looks, nodes: &Nodes, to_come: usize) -> Option<Option<Holding>> {
    let majority = nodes.majority();
    let holdings: Vec<&Holding> = looks.successes().flatten().collect();
    let Some((owner, most)) = most_named(holdings.iter().map(|it| &*it.owner)) else {
        return (looks.failed_or_missing() < majority).then_some(None);
    };
    if most < majority {
        return (most + looks.failed_or_missing() < majority).then_some(None);
    }
    let held = holdings.iter().filter(|it| it.owner == owner);
    // A majority of the nodes holds the lock for that long.
    let mut times: Vec<Option<u64>> = held.clone().map(|it| it.time_left).collect();
    times.sort_unstable_by_key(|left| Reverse(left.unwrap_or(u64::MAX)));
    Some(Some(Holding {
        owner: owner.to_owned(),
        time_left: times.get(majority - 1).copied().flatten(),
        fencing_token: token(held.map(|it| it.fencing_token), to_come, majority)?,
    }))
}

/// The fencing token that a majority has noted. Other nodes have tokens of their own, and note this one a little later,
/// so a part of the answers may not decide: `None` while more answers may come.
///
/// At least a majority has the token or a larger one. Fewer than a majority, which granted the lock later, have a
/// larger one. So if all tokens are sorted, the token is that of the last node of a majority.
fn token(
    numbers: impl Iterator<Item = Option<u64>> + Clone,
    to_come: usize,
    majority: usize,
) -> Option<Option<u64>> {
    let count = |number: &Option<u64>| numbers.clone().filter(|it| it == number).count();
    if let Some(noted) = numbers.clone().find(|number| count(number) >= majority) {
        return Some(noted);
    }
    let mut sorted: Vec<u64> = numbers.flatten().collect();
    sorted.sort_unstable_by_key(|number| Reverse(*number));
    (to_come == 0).then(|| sorted.get(majority - 1).or(sorted.last()).copied())
}

/// The owner that is named most often, and how often; among equals, the one that is named first.
pub(super) fn most_named<'a>(owners: impl Iterator<Item = &'a str>) -> Option<(&'a str, usize)> {
    let mut counts: HashMap<&str, (usize, Reverse<usize>)> = HashMap::new();
    for (place, owner) in owners.enumerate() {
        counts.entry(owner).or_insert((0, Reverse(place))).0 += 1;
    }
    let most = counts.into_iter().max_by_key(|(_, count)| *count);
    most.map(|(owner, (count, _))| (owner, count))
}

/// Ends the hold of any owner at all nodes, after the calls under way about the lock. Returns the owner that most nodes
/// had.
pub(super) async fn force_release(nodes: &Nodes, key: &str) -> Result<Option<String>, Failure> {
    let key: Arc<str> = key.into();
    let patience = nodes.settings.patience(Duration::MAX);
    let is_busy = nodes.peers().iter().any(|peer| !peer.lanes.holds(&key).is_empty());
    let turns = if is_busy { patience } else { Duration::ZERO };
    let force = |peer| force_release_in_turn(peer, key.clone(), turns);
    let mut answers = nodes.ask(turns + patience, force);
    answers.wait_for(|_| false).await;
    let released = answers.count(Option::is_some);
    if answers.successes().count() < nodes.majority() {
        let free = answers.count(Option::is_none);
        let said = [(released, "released the lock"), (free, "said that nobody holds it")];
        return Err(answers.failure(nodes, &said, released > 0));
    }
    let owners = answers.successes().flatten().map(String::as_str);
    Ok(most_named(owners).map(|(owner, _)| owner.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_token_that_a_majority_has_noted_is_found() {
        let token = |numbers: &[Option<u64>], to_come| token(numbers.iter().copied(), to_come, 2);
        assert_eq!(token(&[Some(5), Some(7)], 1), None);
        assert_eq!(token(&[Some(5), Some(7), Some(7)], 0), Some(Some(7)));
        assert_eq!(token(&[Some(5), Some(9), Some(7)], 0), Some(Some(7)));
        assert_eq!(token(&[Some(9), Some(7), Some(7)], 0), Some(Some(7)));
        assert_eq!(token(&[Some(9), Some(7)], 0), Some(Some(7)));
        assert_eq!(token(&[None, None], 1), Some(None));
        assert_eq!(token(&[None, Some(7)], 1), None);
        assert_eq!(token(&[None, Some(7)], 0), Some(Some(7)));
    }

    #[test]
    fn the_owner_that_most_nodes_name_is_found() {
        let most = |owners: &[&'static str]| most_named(owners.iter().copied());
        assert_eq!(most(&[]), None);
        assert_eq!(most(&["a"]), Some(("a", 1)));
        assert_eq!(most(&["b", "a"]), Some(("b", 1)));
        assert_eq!(most(&["b", "a", "a"]), Some(("a", 2)));
        assert_eq!(most(&["c", "b", "a", "b", "c"]), Some(("c", 2)));
    }
}

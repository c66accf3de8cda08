//! Releases a lock at all nodes.

use std::time::Duration;

use super::{
    lanes::LockId,
    node_release::release_in_turn,
    nodes::{NodeAnswers, Nodes},
};
use crate::store::{Failure, Released};

/// How many nodes gave each answer to a release.
#[derive(Clone, Copy, Debug)]
struct ReleaseTally {
    released: usize,
    missing: usize,
    held_by_other: usize,
    /// The number of nodes that may still answer.
    open: usize,
    majority: usize,
}

/// Releases the lock at all nodes, and waits until the answer of a majority is certain. The other calls go on.
pub(super) async fn release(nodes: &Nodes, hold: LockId) -> Result<Released, Failure> {
    let patience = nodes.settings.patience(Duration::MAX);
    let mut answers =
        nodes.ask_by(patience, |peer, sender| release_in_turn(peer, hold.clone(), sender));
    answers.wait_for(|answers| ReleaseTally::of(answers, nodes).is_certain()).await;
    let counts = ReleaseTally::of(&answers, nodes);
    counts.outcome().ok_or_else(|| {
        let said = [
            (counts.released, "released the lock"),
            (counts.missing, "said that nobody holds it"),
            (counts.held_by_other, "said that another owner holds it"),
        ];
        answers.failure(nodes, &said, counts.released > 0)
    })
}

impl ReleaseTally {
    fn of(answers: &NodeAnswers<Released>, nodes: &Nodes) -> Self {
        Self {
            released: answers.count(|it| *it == Released::Released),
            missing: answers.count(|it| *it == Released::Missing),
            held_by_other: answers.count(|it| *it == Released::HeldByOther),
            open: answers.missing(),
            majority: nodes.majority(),
        }
    }

    /// The answer of a majority. At each node that answered, the owner no longer holds the lock. So with answers of a
    /// majority, the owner does not hold it.
    fn outcome(self) -> Option<Released> {
        let answered = self.released + self.missing + self.held_by_other;
        match self {
            _ if answered < self.majority => None,
            _ if self.held_by_other >= self.majority => Some(Released::HeldByOther),
            _ if self.released > 0 => Some(Released::Released),
            _ if self.missing >= self.majority => Some(Released::Missing),
            // Other owners have a part of the lock.
            _ => Some(Released::HeldByOther),
        }
    }

    /// Whether no missing answer would change the outcome.
    fn is_certain(self) -> bool {
        match self.outcome() {
            None => false,
            Some(Released::HeldByOther) => self.held_by_other >= self.majority,
            Some(Released::Released) => self.held_by_other + self.open < self.majority,
            Some(Released::Missing) => self.open == 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All ways in which `nodes` nodes give one of four answers: released, missing, held by another, nothing yet.
    fn all(nodes: usize) -> impl Iterator<Item = ReleaseTally> {
        let upto = move |most: usize| 0..=most;
        upto(nodes).flat_map(move |released| {
            upto(nodes - released).flat_map(move |missing| {
                upto(nodes - released - missing).flat_map(move |held_by_other| {
                    upto(nodes - released - missing - held_by_other).map(move |open| ReleaseTally {
                        released,
                        missing,
                        held_by_other,
                        open,
                        majority: nodes / 2 + 1,
                    })
                })
            })
        })
    }

    /// The counts that may follow when the open answers come: each adds one to a count, or is a failure.
    fn later(counts: ReleaseTally) -> Vec<ReleaseTally> {
        if counts.open == 0 {
            return vec![counts];
        }
        let next = ReleaseTally { open: counts.open - 1, ..counts };
        let each = [
            next,
            ReleaseTally { released: next.released + 1, ..next },
            ReleaseTally { missing: next.missing + 1, ..next },
            ReleaseTally { held_by_other: next.held_by_other + 1, ..next },
        ];
        each.into_iter().flat_map(later).collect()
    }

    #[test]
    fn a_certain_outcome_does_not_change_with_further_answers() {
        for counts in [3, 5].into_iter().flat_map(all).filter(|counts| counts.is_certain()) {
            for later in later(counts) {
                assert_eq!(later.outcome(), counts.outcome(), "{counts:?}, then {later:?}");
            }
        }
    }

    #[test]
    fn the_majority_decides() {
        use crate::store::Released::{HeldByOther, Missing, Released};
        for (released, missing, held_by_other, expected) in [
            (3, 0, 0, Some(Released)),
            (2, 0, 0, Some(Released)),
            (1, 1, 0, Some(Released)),
            (1, 1, 1, Some(Released)),
            (1, 0, 1, Some(Released)),
            (1, 0, 2, Some(HeldByOther)),
            (0, 2, 0, Some(Missing)),
            (0, 2, 1, Some(Missing)),
            (0, 1, 1, Some(HeldByOther)),
            (0, 0, 2, Some(HeldByOther)),
            (1, 0, 0, None),
            (0, 1, 0, None),
            (0, 0, 0, None),
        ] {
            let counts = ReleaseTally { released, missing, held_by_other, open: 0, majority: 2 };
            assert_eq!(counts.outcome(), expected, "{counts:?}");
        }
    }
}

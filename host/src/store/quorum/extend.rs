//! Makes a lock last longer at a majority of the nodes.

use std::{sync::Arc, time::Duration};

use holdfast_rules::message::RAN_OUT;
use holdfast_timing::milliseconds;
use tokio::time::Instant;

use super::{
    lanes::LockId,
    nodes::{NodeAnswers, Nodes, Peer, after},
    validity::{less_drift, majority_until},
};
use crate::store::{Extended, Failure};

/// The answer of a node to an extend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ExtendAnswer {
    /// The node surely holds the lock until this time.
    Extended(Instant),
    Gone,
    HeldByOther,
}

/// How many nodes gave each answer.
#[derive(Clone, Copy, Debug)]
struct ExtendTally {
    extended: usize,
    gone: usize,
    held_by_other: usize,
    majority: usize,
}

/// Makes the lock last longer at all nodes, and waits until the answer of a majority is certain. The other calls go on.
pub(super) async fn extend(
    nodes: &Nodes,
    hold: LockId,
    ttl: Duration,
    may_shorten: bool,
) -> Result<Extended, Failure> {
    let hold = Arc::new(hold);
    let patience = nodes.settings.patience(ttl);
    let mut answers = nodes.ask(patience, |peer| ask(peer, hold.clone(), ttl, may_shorten));
    answers.wait_for(|answers| ExtendTally::of(answers, nodes).is_certain()).await;
    let counts = ExtendTally::of(&answers, nodes);
    match counts.outcome() {
        Some(ExtendAnswer::Extended(_)) => valid_for(&answers, nodes),
        Some(ExtendAnswer::Gone) => Ok(Extended::Gone),
        Some(ExtendAnswer::HeldByOther) => Ok(Extended::HeldByOther),
        None => {
            let said = [
                (counts.extended, "extended the lock"),
                (counts.gone, "said that nobody holds it"),
                (counts.held_by_other, "said that another owner holds it"),
            ];
            Err(answers.failure(nodes, &said, counts.extended > 0))
        }
    }
}

async fn ask(
    peer: Arc<Peer>,
    hold: Arc<LockId>,
    ttl: Duration,
    may_shorten: bool,
) -> Result<ExtendAnswer, Failure> {
    let extended = peer.store.extend(&hold.key, &hold.owner, ttl, may_shorten).await;
    peer.metrics.extended(&extended);
    extended.map(|extended| match extended {
        Extended::Extended(left) => {
            ExtendAnswer::Extended(after(less_drift(Duration::from_millis(left))))
        }
        Extended::Gone => ExtendAnswer::Gone,
        Extended::HeldByOther => ExtendAnswer::HeldByOther,
    })
}

/// For how long a majority surely holds the lock.
fn valid_for(answers: &NodeAnswers<ExtendAnswer>, nodes: &Nodes) -> Result<Extended, Failure> {
    let ends = answers.successes().filter_map(|said| match said {
        ExtendAnswer::Extended(until) => Some(*until),
        _ => None,
    });
    let until = majority_until(ends.collect(), nodes.majority());
    let left = until.map_or(Duration::ZERO, |it| it.saturating_duration_since(Instant::now()));
    match milliseconds(left) {
        0 => Err(Failure::unknown(RAN_OUT, None)),
        left => Ok(Extended::Extended(left)),
    }
}

impl ExtendTally {
    fn of(answers: &NodeAnswers<ExtendAnswer>, nodes: &Nodes) -> Self {
        Self {
            extended: answers.count(|said| matches!(said, ExtendAnswer::Extended(_))),
            gone: answers.count(|said| *said == ExtendAnswer::Gone),
            held_by_other: answers.count(|said| *said == ExtendAnswer::HeldByOther),
            majority: nodes.majority(),
        }
    }

    /// The answer of a majority. The time of [`ExtendAnswer::Extended`] means nothing here.
    fn outcome(self) -> Option<ExtendAnswer> {
        match self {
            _ if self.extended >= self.majority => Some(ExtendAnswer::Extended(Instant::now())),
            // The owner cannot hold a majority.
            _ if self.gone + self.held_by_other < self.majority => None,
            _ if self.gone >= self.majority => Some(ExtendAnswer::Gone),
            // Other owners have a part of the lock.
            _ => Some(ExtendAnswer::HeldByOther),
        }
    }

    /// Whether no missing answer would change the outcome.
    fn is_certain(self) -> bool {
        let Self { extended, gone, held_by_other, majority } = self;
        extended >= majority || gone >= majority || held_by_other >= majority
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_majority_decides() {
        let said = |extended, gone, held_by_other| {
            let counts = ExtendTally { extended, gone, held_by_other, majority: 3 };
            counts.outcome().map(|said| match said {
                ExtendAnswer::Extended(_) => "extended",
                ExtendAnswer::Gone => "gone",
                ExtendAnswer::HeldByOther => "held by other",
            })
        };
        for extended in 0..=5 {
            for gone in 0..=5 - extended {
                for held_by_other in 0..=5 - extended - gone {
                    let expected = match (extended, gone, held_by_other) {
                        (3.., _, _) => Some("extended"),
                        (_, 3.., _) => Some("gone"),
                        (_, _, 1..) if gone + held_by_other >= 3 => Some("held by other"),
                        _ => None,
                    };
                    let counts = (extended, gone, held_by_other);
                    assert_eq!(said(extended, gone, held_by_other), expected, "{counts:?}");
                }
            }
        }
    }
}

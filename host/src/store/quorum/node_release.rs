//! A release at one node, in its turn.

use std::{sync::Arc, time::Duration};

use holdfast_timing::late::LATE_REPLY;
use tokio::{sync::MutexGuard, time::timeout};

use super::{
    lanes::{LockId, PlaceInLane},
    nodes::{AnswerSender, Peer},
};
use crate::store::{Failure, Released};

/// How a release at a node ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ReleaseOutcome {
    /// The lock was the owner's, and is free.
    Freed,
    /// The owner does not hold the lock.
    NotOurs,
    /// The node did nothing, and will do nothing: its store did not send the release, or the node refused it.
    NotDone,
    /// The node may have carried out the release, or may still do so.
    Unclear,
}

/// Releases a lock at a node.
pub(super) async fn release(peer: &Peer, hold: &LockId) -> ReleaseOutcome {
    ReleaseOutcome::of(&released(peer, hold).await)
}

/// Releases a lock at a node, and returns the node's answer.
pub(super) async fn released(peer: &Peer, hold: &LockId) -> Result<Released, Failure> {
    let outcome = peer.store.release(&hold.key, &hold.owner).await;
    peer.metrics.released(&outcome);
    outcome
}

/// Releases a lock at a node after the earlier calls, for the owner, which gets the outcome.
pub(super) async fn release_in_turn(peer: Arc<Peer>, hold: LockId, sender: AnswerSender<Released>) {
    let place = peer.lanes.join(&hold);
    let Ok(turn) = timeout(LATE_REPLY, place.turn()).await else { return };
    let outcome = timeout(LATE_REPLY, released(&peer, &hold)).await;
    let ended = outcome.as_ref().map_or(ReleaseOutcome::Unclear, ReleaseOutcome::of);
    if let Ok(outcome) = outcome {
        sender.send(outcome);
    }
    end(&peer, &place, turn, ended).await;
}

/// Releases a lock of any owner at a node. Waits at most `patience` for calls about it that are under way: otherwise a
/// grant to one of them would stay at this node alone.
pub(super) async fn force_release_in_turn(
    peer: Arc<Peer>,
    key: Arc<str>,
    patience: Duration,
) -> Result<Option<String>, Failure> {
    let holds = peer.lanes.holds(&key);
    let places: Vec<PlaceInLane<'_>> = holds.iter().map(|hold| peer.lanes.join(hold)).collect();
    let turns = async {
        let mut turns = Vec::new();
        for place in &places {
            turns.push(place.turn().await);
        }
        turns
    };
    let _turns = timeout(patience, turns).await;
    peer.store.force_release(&key).await
}

/// Ends the turn of a release. As long as the release may come late, no acquire of this owner is made at this node.
pub(super) async fn end(
    peer: &Peer,
    place: &PlaceInLane<'_>,
    turn: MutexGuard<'_, ()>,
    ended: ReleaseOutcome,
) {
    let is_unclear = ended == ReleaseOutcome::Unclear;
    if is_unclear {
        // Set before the turn ends, because the next in the lane looks as soon as it has its turn.
        place.set_unclear();
    }
    drop(turn);
    if is_unclear {
        let _ = timeout(LATE_REPLY, peer.closed.cancelled()).await;
    }
}

impl ReleaseOutcome {
    fn of(outcome: &Result<Released, Failure>) -> Self {
        match outcome {
            Ok(Released::Released) => Self::Freed,
            Ok(Released::Missing | Released::HeldByOther) => Self::NotOurs,
            Err(Failure::NotDone(_)) => Self::NotDone,
            Err(Failure::Unknown(_)) => Self::Unclear,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_release_that_may_still_come_is_unclear() {
        for (outcome, expected) in [
            (Ok(Released::Released), ReleaseOutcome::Freed),
            (Ok(Released::Missing), ReleaseOutcome::NotOurs),
            (Ok(Released::HeldByOther), ReleaseOutcome::NotOurs),
            (Err(Failure::not_done("refused")), ReleaseOutcome::NotDone),
            (Err(Failure::unknown("no reply", None)), ReleaseOutcome::Unclear),
            // Unclear also if the time is over by the wall clock: that is the time of a lock, and not of a release.
            (
                Err(Failure::unknown("no reply", Some(std::time::UNIX_EPOCH))),
                ReleaseOutcome::Unclear,
            ),
        ] {
            assert_eq!(ReleaseOutcome::of(&outcome), expected, "{outcome:?}");
        }
    }
}

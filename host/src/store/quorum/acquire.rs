//! Takes a lock at a majority of the nodes.

use std::{sync::Arc, time::Duration};

use holdfast_rules::message::RAN_OUT;
use holdfast_timing::milliseconds;
use tokio::time::{Instant, sleep, timeout};

use super::{
    attempt::{Attempt, Numbered, Wanted},
    ballot::Verdict,
    disagreement::disagreement,
    fence,
    inspect::inspect,
    nodes::Nodes,
    splits::Splits,
    validity::{less_drift, majority_until},
};
use crate::store::{Acquired, Failure, Grant};

/// The shortest wait for the remaining nodes after a majority has denied the lock.
const SHORTEST_GRACE: Duration = Duration::from_millis(1);

/// The shortest wait for the remaining nodes while the other nodes are divided. The remaining nodes may decide.
const SHORTEST_GRACE_IF_DIVIDED: Duration = Duration::from_millis(50);

/// Takes the lock, with more attempts if several callers each got a few nodes.
pub(super) async fn acquire(nodes: &Nodes, wanted: Wanted) -> Result<Acquired, Failure> {
    let wanted = Arc::new(wanted);
    let mut splits = Splits::new(wanted.ttl);
    loop {
        let mut attempt = Attempt::begin(nodes, wanted.clone());
        let (verdict, took) = verdict(&mut attempt).await;
        let cause = match verdict {
            Verdict::Won => match win(&mut attempt).await {
                Ok((grant, numbered)) => {
                    attempt.keep(numbered);
                    return Ok(Acquired::Granted(grant));
                }
                Err(cause) => cause,
            },
            Verdict::Held => {
                attempt.leave();
                return Ok(Acquired::Held);
            }
            Verdict::Contended | Verdict::Split => {
                let denied = verdict == Verdict::Contended;
                let remains = attempt.give_back(took.max(SHORTEST_GRACE_IF_DIVIDED)).await;
                if let Some(pause) = splits.next(took, fastrand::u64(..)) {
                    sleep(pause).await;
                    continue;
                }
                // Fewer than a majority may keep this attempt's lock, so other callers had the nodes.
                if denied || remains.count() < nodes.majority() {
                    return Ok(Acquired::Held);
                }
                return Err(remains.failure(votes(&attempt), wanted.ttl));
            }
            Verdict::Failed => votes(&attempt),
        };
        let patience = attempt.patience;
        let remains = attempt.give_back(patience).await;
        return Err(remains.failure(cause, wanted.ttl));
    }
}

/// The verdict of the nodes, as soon as it is certain, and how long a majority of them took for it.
async fn verdict(attempt: &mut Attempt<'_>) -> (Verdict, Duration) {
    let majority = attempt.nodes.majority();
    attempt.count_until(|it| it.granted() + it.held() >= majority).await;
    let took = attempt.begun.elapsed();
    // A node that stands still must not use up the time of all attempts.
    let decided = attempt.count_until(|it| it.granted() >= majority || it.held() >= majority);
    let _ = timeout(took.max(SHORTEST_GRACE_IF_DIVIDED), decided).await;
    if attempt.ballot.held() >= majority {
        // Wait for the remaining nodes: a caller that holds some nodes must learn of them, or no caller would retry.
        // These nodes will most likely answer soon.
        let rest = attempt.count_until(|_| false);
        let _ = timeout(took.max(SHORTEST_GRACE), rest).await;
        if !attempt.ballot.is_complete() {
            if has_one_holder(attempt).await {
                return (Verdict::Held, took);
            }
            attempt.count_until(|_| false).await;
        }
    }
    match attempt.ballot.verdict() {
        Verdict::Contended if has_one_holder(attempt).await => (Verdict::Held, took),
        verdict => (verdict, took),
    }
}

/// Whether one owner holds the lock at a majority of the nodes.
async fn has_one_holder(attempt: &Attempt<'_>) -> bool {
    let Attempt { nodes, wanted, patience, .. } = attempt;
    matches!(inspect(nodes, &wanted.hold.key, *patience).await, Ok(Some(_)))
}

/// The grant of an attempt that a majority granted. Fails with the cause.
async fn win(attempt: &mut Attempt<'_>) -> Result<(Grant, Option<Numbered>), String> {
    let numbered = match attempt.wanted.fenced {
        true => Some(fence::number(attempt).await?),
        false => None,
    };
    let left = until(attempt, numbered.as_ref())
        .map_or(Duration::ZERO, |until| until.saturating_duration_since(Instant::now()));
    match milliseconds(left) {
        0 => Err(RAN_OUT.to_owned()),
        left => {
            let fencing_token = numbered.as_ref().map(|numbered| numbered.token);
            Ok((Grant { fencing_token, valid_for: Some(left) }, numbered))
        }
    }
}

/// Until when a majority surely holds the lock. With a token, only nodes that have noted it count. The result is never
/// later than the time to live from the beginning of this attempt, less the drift of the clocks.
fn until(attempt: &Attempt<'_>, numbered: Option<&Numbered>) -> Option<Instant> {
    let counts = |node| numbered.is_none_or(|numbered| numbered.nodes.contains(&node));
    let grants = attempt.ballot.grants().filter(|(node, _)| counts(*node));
    let ends = grants.map(|(_, granted)| granted.until).collect();
    let until = majority_until(ends, attempt.nodes.majority())?;
    let longest = attempt.begun.checked_add(less_drift(attempt.wanted.ttl));
    Some(longest.map_or(until, |longest| longest.min(until)))
}

/// A readable count of the votes.
fn votes(attempt: &Attempt<'_>) -> String {
    let Attempt { nodes, ballot, .. } = attempt;
    let said = [(ballot.granted(), "granted the lock"), (ballot.held(), "said that it is held")];
    disagreement(&nodes.names(), &said, ballot.failures())
}

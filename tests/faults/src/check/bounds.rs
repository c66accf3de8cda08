//! A lock ends when its acquire said it would, at the latest.

use std::collections::HashSet;

use super::{
    holds::Key,
    violation::{Promise, Rules, Violation},
};
use crate::history::Observation;

/// Finds locks that were seen when they could not exist. Each owner is reported once.
pub fn check(key: &Key<'_>, rules: &Rules) -> Vec<Violation> {
    let mut reported = HashSet::new();
    let mut found = Vec::new();
    for seen in &key.seen {
        let Some(owner) = &seen.owner else { continue };
        let Some(problem) = outlived(key, owner, seen, rules) else { continue };
        if reported.insert(owner) {
            found.push(Violation {
                promise: Promise::Bounded,
                key: key.name.to_owned(),
                at: seen.start,
                what: format!("Redis had {owner}, {problem}"),
                owners: vec![owner.clone()],
            });
        }
    }
    found
}

/// Why the owner cannot have the key when the driver looked.
fn outlived(key: &Key<'_>, owner: &str, seen: &Observation, rules: &Rules) -> Option<String> {
    let Some(hold) = key.hold(owner) else {
        return Some("which nobody asked for".to_owned());
    };
    let Some(may) = hold.may else {
        return Some(format!("whose acquire was answered {:?}", hold.acquire.answer));
    };
    let late = seen.start.checked_sub(may.to + rules.slack)?;
    (late > 0).then(|| format!("{:.1} ms after its end", (late + rules.slack) as f64 / 1e6))
}

#[cfg(test)]
mod tests {
    use super::super::sample::{RULES, Sample};
    use super::*;
    use crate::history::{
        Answer::{Granted, Held, Left, NotDone, Released},
        ms,
    };

    #[test]
    fn locks_are_seen_within_their_time() {
        let granted = Sample::new().acquire("a", 0..10, 1_000, Granted);
        granted.seen(Some("a"), 1_020..1_021).is_good();
        let unknown = Sample::new().unknown("a", 0..400, 1_000, 2_000);
        unknown.seen(Some("a"), 1_990..1_991).is_good();
    }

    #[test]
    fn a_lock_that_outlives_its_bound_is_found() {
        let granted = Sample::new().acquire("a", 0..10, 1_000, Granted);
        granted
            .seen(Some("a"), 1_040..1_041)
            .seen(Some("a"), 1_050..1_051)
            .breaks(Promise::Bounded);
        let unknown = Sample::new().unknown("a", 0..400, 1_000, 2_000);
        unknown.seen(Some("a"), 2_030..2_031).breaks(Promise::Bounded);
        let left = Sample::new().acquire("a", 0..10, 1_000, Left);
        left.seen(Some("a"), 1_040..1_041).breaks(Promise::Bounded);
        let released = Sample::new().acquire("a", 0..10, 1_000, Granted);
        let released = released.release("a", 100..110, Released);
        released.seen(Some("a"), 140..141).breaks(Promise::Bounded);
    }

    #[test]
    fn a_slow_round_trip_makes_a_lock_last_longer() {
        let late = Sample::new().acquire("a", 0..10, 1_000, Granted).seen(Some("a"), 1_200..1_201);
        late.breaks(Promise::Bounded);
        let rules = Rules { round_trip: ms(200), ..RULES };
        assert!(super::super::check(&late.history, &rules).is_empty());
    }

    #[test]
    fn a_lock_that_nobody_can_have_is_found() {
        Sample::new().seen(Some("a"), 0..1).breaks(Promise::Bounded);
        let refused = Sample::new().acquire("a", 0..10, 1_000, NotDone(String::new()));
        refused.seen(Some("a"), 40..41).breaks(Promise::Bounded);
        let held = Sample::new().acquire("b", 0..10, 1_000, Granted);
        let held = held.release("b", 20..30, Released).acquire("a", 5..15, 1_000, Held);
        held.seen(Some("a"), 40..41).breaks(Promise::Bounded);
    }
}

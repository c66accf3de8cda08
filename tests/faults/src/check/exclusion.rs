//! No two holders at once, and a holder keeps its lock.

use super::{
    clock::{is_set_during, may_mislead},
    holds::{Hold, Key, Span},
    violation::{Promise, Rules, Violation},
};
use crate::history::{Answer, Broken, Event, History, Observation};

/// Finds holders that were not alone, and holders that lost their lock.
pub fn check(key: &Key<'_>, history: &History, rules: &Rules) -> Vec<Violation> {
    let mut found = overlaps(key, rules);
    found.extend(key.holds.iter().filter_map(|hold| stale(hold, key, history, rules)));
    found.extend(key.seen.iter().filter_map(|seen| lost(seen, key, history, rules)));
    found
}

/// Holders that held the key at once.
fn overlaps(key: &Key<'_>, rules: &Rules) -> Vec<Violation> {
    let sure = key.holds.iter().filter_map(|hold| Some((hold.sure?, hold.acquire)));
    let mut spans: Vec<_> = sure.collect();
    spans.sort_by_key(|(span, _)| span.from);
    let mut found = Vec::new();
    let mut last: Option<(Span, &Event)> = None;
    for (span, acquire) in spans {
        if let Some((earlier, holder)) = last {
            let both = earlier.to.min(span.to).saturating_sub(span.from);
            if both > rules.rounding {
                let what = format!(
                    "{} and {} both held it, for {:.1} ms",
                    holder.owner,
                    acquire.owner,
                    both as f64 / 1e6
                );
                found.push(Violation::in_answer(Promise::OneHolder, acquire, what, &[holder]));
            }
        }
        if last.is_none_or(|(earlier, _)| earlier.to < span.to) {
            last = Some((span, acquire));
        }
    }
    found
}

/// Finds a grant that was received after its lock was over, or while another owner had the key. A lock that ended
/// because the server lost its data or its clock was set just then is no phantom, and a process that stood still could
/// not receive the grant earlier.
fn stale(hold: &Hold<'_>, key: &Key<'_>, history: &History, rules: &Rules) -> Option<Violation> {
    let acquire = hold.acquire;
    let forgotten = |kind: &Broken| rules.forgets(*kind) && history.touches(acquire, *kind);
    let excused = history.stopped(acquire) > 0
        || [Broken::Amnesia, Broken::Failover].iter().any(forgotten)
        || is_set_during(acquire, history);
    if acquire.answer != Answer::Granted || excused {
        return None;
    }
    let seen = key.seen_until(acquire.end.saturating_sub(rules.slack));
    let found = |what: &str, others: &[&Event]| {
        let what = format!("{} was told that it has what {what}", acquire.owner);
        Violation::in_answer(Promise::FreshGrant, acquire, what, others)
    };
    if let Some(other) = other_holder(acquire, seen, key, rules) {
        return Some(found("another one had", &[other]));
    }
    // A try with the old clock, or at a few servers, was given back and followed by another.
    let again = rules.by_majority || may_mislead(acquire, history);
    let over = is_over(acquire, seen) && !again;
    over.then(|| found("was over", &[]))
}

/// The other owner whom Redis had last, if its lock is not over at the end of the acquire.
fn other_holder<'a>(
    acquire: &Event,
    seen: &[&Observation],
    key: &Key<'a>,
    rules: &Rules,
) -> Option<&'a Event> {
    let seen = seen.last()?;
    let holder = key.hold(seen.owner.as_deref()?)?;
    // A lock that a majority had before the acquire was answered may have been given back, and taken by a later try.
    if rules.by_majority && seen.start < holder.acquire.end {
        return None;
    }
    let still = holder.ends? >= acquire.end + rules.rounding;
    (still && holder.acquire.owner != acquire.owner).then_some(holder.acquire)
}

/// Whether Redis had the lock during the acquire, and then had it no more.
fn is_over(acquire: &Event, seen: &[&Observation]) -> bool {
    let during = &seen[seen.partition_point(|seen| seen.start < acquire.start)..];
    let had = |seen: &&Observation| seen.owner.as_ref() == Some(&acquire.owner);
    let mut from_then = during.iter().skip_while(|seen| !had(seen));
    from_then.any(|seen| !had(seen))
}

/// Finds a holder whose key was seen without its name.
fn lost(seen: &Observation, key: &Key<'_>, history: &History, rules: &Rules) -> Option<Violation> {
    let span = Span { from: seen.start, to: seen.end + rules.rounding };
    let acquire = key.certain(span)?.acquire;
    let holder = &acquire.owner;
    // Servers that have lost it keep out of every other majority.
    let thinned = seen.owner.is_none() && history.thins(acquire.start, seen.end);
    if seen.owner.as_ref() == Some(holder) || thinned {
        return None;
    }
    let instead = seen.owner.as_deref().unwrap_or("nobody");
    Some(Violation {
        promise: Promise::Kept,
        key: key.name.to_owned(),
        at: seen.start,
        what: format!("{holder} held it, but Redis had {instead}"),
        owners: [holder].into_iter().chain(&seen.owner).cloned().collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::super::sample::{RULES, Sample};
    use super::*;
    use crate::history::Answer::{Granted, Released};

    #[test]
    fn holders_take_turns() {
        let expired = Sample::new().acquire("a", 0..10, 1_000, Granted);
        expired.acquire("b", 990..1_005, 1_000, Granted).is_good();
        let released = Sample::new().acquire("a", 0..10, 1_000, Granted);
        let released = released.release("a", 100..120, Released);
        released.acquire("b", 90..115, 1_000, Granted).is_good();
    }

    #[test]
    fn two_holders_at_once_are_found() {
        let sample = Sample::new().acquire("a", 0..10, 1_000, Granted);
        let sample = sample.acquire("b", 500..510, 100, Granted);
        sample.breaks(Promise::OneHolder);
        // The hold that ends last counts, not the one that began last.
        sample
            .acquire("c", 700..710, 1_000, Granted)
            .breaks_all(&[Promise::OneHolder, Promise::OneHolder]);
    }

    #[test]
    fn a_hold_from_before_the_loss_of_data_does_not_count() {
        let sample = Sample::new().acquire("a", 0..10, 1_000, Granted);
        let sample = sample.broken(Broken::Amnesia, 300..400);
        sample.acquire("b", 500..510, 1_000, Granted).is_good();
    }

    #[test]
    fn a_hold_from_after_the_loss_of_data_counts() {
        let sample = Sample::new().broken(Broken::Amnesia, 300..400);
        let sample = sample.acquire("a", 410..420, 1_000, Granted);
        sample.acquire("b", 500..510, 1_000, Granted).breaks(Promise::OneHolder);
    }

    #[test]
    fn a_grant_that_is_heard_too_late_is_found() {
        let sample = Sample::new().acquire("a", 0..1_300, 1_000, Granted);
        let sample = sample.seen(Some("a"), 500..501);
        sample.clone().is_good();
        // Its lock was gone before.
        sample.clone().seen(None, 1_100..1_101).breaks(Promise::FreshGrant);
        // `b` learns of its grant even later.
        let sample = sample.acquire("b", 1_005..1_500, 1_000, Granted);
        sample.clone().is_good();
        let sample = sample.seen(Some("b"), 1_100..1_101);
        sample.clone().breaks(Promise::FreshGrant);
        for excuse in [Broken::Stopped(0), Broken::Starved, Broken::Amnesia, Broken::ServerClock(1)]
        {
            sample.clone().broken(excuse, 5..1_099).is_good();
        }
        sample.broken(Broken::Stopped(1), 5..1_099).breaks(Promise::FreshGrant);
    }

    #[test]
    fn a_grant_follows_one_that_was_released() {
        let sample = Sample::new().acquire("b", 0..10, 1_000, Granted).seen(Some("b"), 20..21);
        let sample = sample.release("b", 30..200, Released);
        sample.acquire("a", 20..210, 1_000, Granted).is_good();
    }

    #[test]
    fn a_holder_keeps_its_lock() {
        let sample = Sample::new().acquire("a", 0..10, 1_000, Granted);
        let sample = sample.seen(Some("a"), 20..21).seen(None, 999..1_001).seen(None, 5..15);
        sample.is_good();
        sample.clone().seen(None, 500..501).breaks(Promise::Kept);
        let other = sample.unknown("b", 300..400, 1_000, 1_400);
        other.seen(Some("b"), 500..501).breaks(Promise::Kept);
    }

    #[test]
    fn a_lock_that_a_minority_forgot_is_still_nobody_elses() {
        let sample = Sample::new().acquire("a", 0..10, 1_000, Granted);
        let sample = sample.broken(Broken::MinorityAmnesia, 300..310).seen(None, 500..501);
        sample.is_good();
        sample.clone().acquire("b", 500..510, 100, Granted).breaks(Promise::OneHolder);
        let other = sample.unknown("b", 300..400, 1_000, 1_400);
        other.seen(Some("b"), 500..501).breaks(Promise::Kept);
    }

    #[test]
    fn at_a_majority_a_grant_may_follow_a_try_that_was_given_back() {
        let rules = Rules { by_majority: true, ..RULES };
        let sample = Sample::new().acquire("a", 0..300, 1_000, Granted).seen(Some("a"), 50..51);
        let sample = sample.seen(None, 100..101);
        sample.is_good_by(&rules);
        sample.breaks(Promise::FreshGrant);
        let sample = sample.acquire("b", 110..120, 50, Granted);
        sample.is_good_by(&rules);
    }
}

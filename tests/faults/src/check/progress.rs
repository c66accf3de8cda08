//! Calls end, locks become free, and the store works again after a fault, and not while it cannot.

use std::collections::HashSet;

use super::violation::{Promise, Rules, Violation};
use crate::history::{Answer, Broken, Event, History, Observation};

/// Finds calls, keys and stores that are stuck.
pub fn check(history: &History, rules: &Rules) -> Vec<Violation> {
    let mut found: Vec<_> =
        history.events.iter().filter_map(|event| slow(event, history, rules)).collect();
    found.extend(occupied(history));
    found.extend(dead(history));
    found.extend(history.events.iter().filter_map(|event| undecided(event, history)));
    found
}

/// A call that took longer than the limit. The time in which its process stood still does not count.
fn slow(event: &Event, history: &History, rules: &Rules) -> Option<Violation> {
    let took = (event.end - event.start).saturating_sub(history.stopped(event));
    let what = match event.answer {
        Answer::Pending => format!("{} was never answered", event.owner),
        _ if took > rules.limit => {
            format!("{} was answered after {:.1} s", event.owner, took as f64 / 1e9)
        }
        _ => return None,
    };
    Some(Violation::in_answer(Promise::Prompt, event, what, &[]))
}

/// Keys that are still set when the longest time to live has passed since the last call.
fn occupied(history: &History) -> Vec<Violation> {
    let mut keys = HashSet::new();
    let late = history.observations.iter().filter(|seen| seen.start > history.settled);
    let set = late.filter_map(|seen| Some((seen, seen.owner.as_ref()?)));
    let violation = |(seen, owner): (&Observation, &String)| Violation {
        promise: Promise::Free,
        key: seen.key.clone(),
        at: seen.start,
        what: format!("{owner} still has it"),
        owners: vec![owner.clone()],
    };
    set.filter(|(seen, _)| keys.insert(&seen.key)).map(violation).collect()
}

/// Whether nothing was granted after the last fault.
fn dead(history: &History) -> Option<Violation> {
    let faults = history.windows.iter().filter(|window| window.kind == Broken::Fault);
    let last = faults.map(|window| window.end).max()?;
    let alive = |event: &Event| event.answer == Answer::Granted && event.start > last;
    (!history.events.iter().any(alive)).then(|| Violation {
        promise: Promise::Recovery,
        key: String::new(),
        at: last,
        what: "nothing was granted after the last fault".to_owned(),
        owners: Vec::new(),
    })
}

/// A lock that was granted while nobody could use a majority of a quorum.
fn undecided(event: &Event, history: &History) -> Option<Violation> {
    let granted = event.answer == Answer::Granted;
    (granted && history.is_within(event, Broken::MajorityGone)).then(|| {
        let what = format!("{} got it without a majority of the servers", event.owner);
        Violation::in_answer(Promise::Majority, event, what, &[])
    })
}

#[cfg(test)]
mod tests {
    use super::super::sample::Sample;
    use super::*;
    use crate::history::Answer::{Granted, NotDone, Pending};

    fn refused() -> Answer {
        NotDone(String::new())
    }

    #[test]
    fn calls_end_in_time() {
        Sample::new().acquire("a", 0..4_999, 100, refused()).is_good();
        let stopped = Sample::new().acquire("a", 0..9_000, 100, refused());
        stopped.clone().broken(Broken::Stopped(0), 1_000..6_000).is_good();
        stopped.broken(Broken::Starved, 1_000..6_000).is_good();
    }

    #[test]
    fn a_call_that_takes_too_long_is_found() {
        Sample::new().acquire("a", 0..5_001, 100, refused()).breaks(Promise::Prompt);
        Sample::new().acquire("a", 0..1, 100, Pending).breaks(Promise::Prompt);
        let other = Sample::new().acquire("a", 0..9_000, 100, refused());
        other.broken(Broken::Stopped(7), 1_000..6_000).breaks(Promise::Prompt);
    }

    #[test]
    fn keys_are_free_at_the_end() {
        let sample = Sample::new().acquire("a", 0..10, 1_000, Granted).settled(1_011);
        sample.clone().seen(None, 1_015..1_016).is_good();
        sample.seen(Some("a"), 1_015..1_016).breaks(Promise::Free);
    }

    #[test]
    fn locks_are_granted_after_the_last_fault() {
        let sample = Sample::new().broken(Broken::Fault, 0..500);
        sample.clone().acquire("a", 600..610, 100, Granted).is_good();
        sample.acquire("a", 400..410, 100, Granted).breaks(Promise::Recovery);
    }

    #[test]
    fn nothing_is_granted_without_a_majority() {
        let sample = Sample::new().broken(Broken::MajorityGone, 100..500);
        sample.clone().acquire("a", 200..300, 100, refused()).is_good();
        sample.clone().acquire("a", 90..300, 100, Granted).is_good();
        sample.clone().acquire("a", 200..510, 100, Granted).is_good();
        sample.acquire("a", 200..300, 100, Granted).breaks(Promise::Majority);
    }
}

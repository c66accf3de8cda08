//! The effect on a lock when the server's clock is set: a step forward ends the lock that much earlier, a step back
//! that much later.

use super::pace::LONGEST_USE;
use crate::history::{Broken, Event, History, Nanos};

/// A change of the clock.
struct Step {
    /// It was set at some moment between these.
    start: Nanos,
    end: Nanos,
    /// The step forward; back, if this is less than 0.
    by: i64,
}

/// The earliest end of this acquire's lock, which would last until `lease` by a clock that is not set. The client knew
/// that clock to a `round_trip`.
pub fn earliest_end(acquire: &Event, lease: Nanos, history: &History, round_trip: Nanos) -> Nanos {
    let (mut ahead, mut earliest) = (0_i64, lease);
    for step in steps(history) {
        let old = step.end < acquire.start;
        if old && !(is_small(&step, round_trip) && is_recent(&step, acquire)) {
            continue;
        }
        // A step back counts only if it came after the command, which may have been sent at any moment of the
        // call.
        if step.by > 0 || acquire.end < step.start {
            ahead = ahead.saturating_add(step.by);
        }
        if ahead > 0 {
            let end = lease.saturating_sub(ahead.unsigned_abs());
            earliest = earliest.min(end.max(step.start));
        }
    }
    earliest
}

/// The latest end of this acquire's lock, which would last until `bound` by a clock that is not set. `confirmed` says
/// whether the client has read the clock after the server took the lock.
pub fn latest_end(
    acquire: &Event,
    bound: Nanos,
    confirmed: bool,
    history: &History,
    round_trip: Nanos,
) -> Nanos {
    let steps: Vec<_> = steps(history)
        .filter(|step| {
            let unnoticed = !confirmed || is_small(step, round_trip);
            step.end >= acquire.start || unnoticed && is_recent(step, acquire)
        })
        .collect();
    let mut latest = steps.first().map_or(bound, |first| bound.min(first.end));
    let mut behind = 0_i64;
    for (at, step) in steps.iter().enumerate() {
        if step.by < 0 || acquire.end < step.start {
            behind = behind.saturating_sub(step.by);
        }
        // The server deletes an expired lock when a client asks for it; a step back can prevent that.
        let end = bound.saturating_add_signed(behind);
        if end > step.start {
            latest = latest.max(steps.get(at + 1).map_or(end, |next| end.min(next.end)));
        }
    }
    latest
}

/// Whether the clock was set while the call was under way.
pub fn is_set_during(call: &Event, history: &History) -> bool {
    steps(history).any(|step| step.start <= call.end && call.start <= step.end)
}

/// Whether a try of this acquire may have taken a lock with a wrong expiry, which was given back.
pub fn may_mislead(acquire: &Event, history: &History) -> bool {
    steps(history).any(|step| step.start <= acquire.end && is_recent(&step, acquire))
}

/// Whether the client's reading of the clock may be older than the step.
fn is_recent(step: &Step, acquire: &Event) -> bool {
    step.end + LONGEST_USE >= acquire.start
}

/// Whether a client may fail to notice the step: its earlier and its next reading of the clock are only as exact as a
/// round trip.
fn is_small(step: &Step, round_trip: Nanos) -> bool {
    step.by.unsigned_abs() <= 2 * round_trip
}

fn steps(history: &History) -> impl Iterator<Item = Step> {
    history.windows.iter().filter_map(|window| match window.kind {
        Broken::ServerClock(by) => {
            let by = by.saturating_mul(1_000_000);
            Some(Step { start: window.start, end: window.end, by })
        }
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::super::{
        sample::{RULES, Sample},
        violation::{Promise, Rules},
    };
    use super::*;
    use crate::history::{Answer, ms};
    use Answer::{Granted, Held, Missing, Released};

    const HOUR: i64 = 3_600_000;

    fn granted() -> Sample {
        Sample::new().acquire("a", 0..10, 1_000, Granted)
    }

    fn set(sample: Sample, by: i64, at: u64) -> Sample {
        sample.broken(Broken::ServerClock(by), at..at + 1)
    }

    #[test]
    fn a_step_forward_ends_locks_early() {
        let sample = set(granted(), HOUR, 300);
        sample.clone().acquire("b", 310..320, 100, Granted).is_good();
        sample.clone().seen(None, 310..311).release("a", 320..330, Missing).is_good();
        // The step ends no lock before it, and none that was taken after it.
        sample.clone().seen(None, 280..281).breaks(Promise::Kept);
        let later = sample.acquire("b", 310..320, 1_000, Granted);
        later.acquire("c", 500..510, 100, Granted).breaks(Promise::OneHolder);
    }

    #[test]
    fn a_lock_ends_no_earlier_than_by_the_step() {
        let sample = set(granted(), 400, 300);
        sample.clone().acquire("b", 605..610, 100, Granted).is_good();
        sample.acquire("b", 500..510, 1_000, Granted).breaks(Promise::OneHolder);
    }

    #[test]
    fn a_clock_that_is_set_back_and_forward_again_ends_nothing_early() {
        let sample = set(set(granted(), -HOUR, 300), HOUR, 400);
        sample.clone().acquire("b", 1_005..1_010, 100, Granted).is_good();
        sample.acquire("b", 500..510, 100, Granted).breaks(Promise::OneHolder);
    }

    #[test]
    fn a_step_back_makes_locks_last_longer() {
        let sample = set(granted(), -500, 300);
        let held = |at: u64| sample.clone().acquire("b", at..at + 10, 100, Held);
        held(1_400).seen(Some("a"), 1_450..1_451).is_good();
        held(1_600).breaks(Promise::TrueHeld);
        sample.clone().seen(Some("a"), 1_550..1_551).breaks(Promise::Bounded);
        sample.clone().release("a", 1_400..1_410, Released).is_good();
        // There is still one holder.
        sample.acquire("b", 700..710, 1_000, Granted).breaks(Promise::OneHolder);
    }

    #[test]
    fn a_step_forward_ends_what_a_step_back_prolonged() {
        let sample = set(set(granted(), -HOUR, 300), HOUR, 2_000);
        sample.clone().seen(Some("a"), 1_990..1_991).is_good();
        sample.seen(Some("a"), 2_030..2_031).breaks(Promise::Bounded);
    }

    #[test]
    fn a_lock_whose_taking_was_not_answered_may_have_an_expiry_of_the_old_clock() {
        let stale = set(Sample::new(), -HOUR, 10).acquire("a", 100..500, 1_000, Answer::Left);
        stale.clone().seen(Some("a"), 5_000..5_001).is_good();
        let granted = set(Sample::new(), -HOUR, 10).acquire("a", 100..110, 1_000, Granted);
        granted.seen(Some("a"), 5_000..5_001).breaks(Promise::Bounded);
        let fresh = set(Sample::new(), -HOUR, 10).acquire("a", 11_000..11_500, 500, Answer::Left);
        fresh.seen(Some("a"), 13_000..13_001).breaks(Promise::Bounded);
    }

    #[test]
    fn a_try_with_the_old_clock_can_be_in_the_way_for_a_moment() {
        // The first try of `a` was in the way of `b`, and `c` was in the way of the second try of `a`.
        let sample = Sample::new().acquire("a", 100..140, 1_000, Held);
        let sample =
            sample.acquire("b", 110..115, 100, Held).acquire("c", 116..120, 1_000, Granted);
        sample.clone().breaks(Promise::TrueHeld);
        set(sample, -HOUR, 10).is_good();
    }

    #[test]
    fn a_small_step_may_go_unnoticed_for_a_while() {
        let rules = Rules { round_trip: ms(50), ..RULES };
        let early = |by: i64, at: u64| {
            let sample = set(Sample::new(), by, 10).acquire("a", at..at + 10, 1_000, Granted);
            let sample = sample.acquire("b", at + 950..at + 960, 100, Granted);
            super::super::check(&sample.history, &rules).len()
        };
        assert_eq!([early(100, 100), early(101, 100), early(100, 10_100)], [0, 1, 1]);
    }
}

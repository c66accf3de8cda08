//! Locks that a failover has lost: the promoted replica did not have them.

use std::collections::HashSet;

use super::{
    exclusion,
    holds::Key,
    violation::{Loses, Rules},
};
use crate::history::History;

/// How many locks were lost while they were surely held. Such a loss is no violation if failovers may lose locks.
pub fn count(history: &History, rules: &Rules) -> u64 {
    let strict = broken(history, &Rules { loses: Loses::Never, ..*rules });
    if strict.is_empty() {
        return 0;
    }
    let lenient = broken(history, &Rules { loses: Loses::InFailover, ..*rules });
    strict.difference(&lenient).count() as u64
}

/// The holders who were not alone, or lost their lock.
fn broken(history: &History, rules: &Rules) -> HashSet<String> {
    let keys = Key::all(history, rules);
    let found = keys.iter().flat_map(|key| exclusion::check(key, history, rules));
    found.filter_map(|violation| violation.owners.into_iter().next()).collect()
}

#[cfg(test)]
mod tests {
    use super::super::{
        sample::{RULES, Sample},
        violation::Promise,
    };
    use super::*;
    use crate::history::{
        Answer::{Granted, Missing, Released},
        Broken,
    };

    const LENIENT: Rules = Rules { loses: Loses::InFailover, ..RULES };

    /// `a` holds the lock, and then `b` does.
    fn two_holders() -> Sample {
        let sample = Sample::new().acquire("a", 0..10, 1_000, Granted);
        sample.acquire("b", 500..510, 1_000, Granted)
    }

    #[test]
    fn a_lock_that_a_failover_lost_is_counted_and_excused_where_failovers_lose() {
        let sample = two_holders().broken(Broken::Failover, 300..400);
        assert_eq!(count(&sample.history, &LENIENT), 1);
        sample.is_good_by(&LENIENT);
        assert_eq!(count(&sample.history, &RULES), 1);
        sample.breaks(Promise::OneHolder);
        let lost = Sample::new().acquire("a", 0..10, 1_000, Granted).seen(None, 500..501);
        let lost = lost.broken(Broken::Failover, 300..400).release("a", 600..610, Missing);
        assert_eq!(count(&lost.history, &LENIENT), 1);
        lost.is_good_by(&LENIENT);
        lost.breaks_all(&[Promise::Kept, Promise::TrueRelease]);
    }

    #[test]
    fn without_a_failover_between_nothing_is_excused() {
        for time in [None, Some(600..700)] {
            let sample = match time {
                Some(time) => two_holders().broken(Broken::Failover, time),
                None => two_holders(),
            };
            assert_eq!(count(&sample.history, &LENIENT), 0);
            sample.breaks_all_by(&LENIENT, &[Promise::OneHolder]);
        }
        let after = Sample::new().broken(Broken::Failover, 0..100);
        let after = after.acquire("a", 110..120, 1_000, Granted);
        let after = after.acquire("b", 500..510, 1_000, Granted);
        assert_eq!(count(&after.history, &LENIENT), 0);
        after.breaks_all_by(&LENIENT, &[Promise::OneHolder]);
    }

    #[test]
    fn a_failover_brings_back_a_lock_that_was_released_until_its_time_is_over() {
        let sample = Sample::new().acquire("a", 0..10, 1_000, Granted);
        let sample = sample.release("a", 100..110, Released).seen(Some("a"), 500..501);
        sample.breaks(Promise::Bounded);
        let sample = sample.broken(Broken::Failover, 200..300);
        sample.is_good();
        sample.clone().release("a", 600..610, Released).is_good();
        sample.seen(Some("a"), 1_100..1_101).breaks(Promise::Bounded);
    }
}

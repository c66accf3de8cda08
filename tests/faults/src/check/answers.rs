//! `held` and the answers of a release are true.

use super::{
    holds::{Hold, Key, Span},
    violation::{Promise, Rules, Violation},
};
use crate::history::{Answer, Event, History};

/// Finds answers that cannot be true.
pub fn check(key: &Key<'_>, history: &History, rules: &Rules) -> Vec<Violation> {
    let mut found = Vec::new();
    for acquire in key.holds.iter().map(|hold| hold.acquire) {
        if acquire.answer == Answer::Held && !others_may_hold(key, acquire) {
            let what = format!("{} was told that somebody has it, but nobody had", acquire.owner);
            found.push(Violation::in_answer(Promise::TrueHeld, acquire, what, &[]));
        }
    }
    for release in &key.releases {
        let problem = match release.answer {
            Answer::Released => released(key, release, history, rules),
            Answer::Missing => held_by(key, release, history, rules, |_| true),
            Answer::HeldByOther if !others_may_hold(key, release) => {
                Some("nobody else held it".to_owned())
            }
            Answer::HeldByOther => {
                held_by(key, release, history, rules, |holder| holder == release.owner)
            }
            _ => None,
        };
        if let Some(problem) = problem {
            let what =
                format!("{} was answered {:?}, but {problem}", release.owner, release.answer);
            found.push(Violation::in_answer(Promise::TrueRelease, release, what, &[]));
        }
    }
    found
}

/// Whether an owner other than the caller may hold the key during the call.
fn others_may_hold(key: &Key<'_>, call: &Event) -> bool {
    key.possible(Span::of(call)).any(|hold| hold.acquire.owner != call.owner)
}

/// Why a release cannot have freed the lock.
fn released(key: &Key<'_>, release: &Event, history: &History, rules: &Rules) -> Option<String> {
    let mine = |hold: &&_| hold_owner(hold) == release.owner;
    if key.possible(Span::of(release)).find(mine).is_none() {
        return Some("it cannot have held it".to_owned());
    }
    let before = |other: &&&Event| {
        other.owner == release.owner
            && other.answer == Answer::Released
            && other.end <= release.start
            // A failover can bring the lock back, and a minority may have kept it.
            && !history.fails_over(other.start, release.end)
            && !rules.by_majority
    };
    key.releases.iter().find(before).map(|_| "it had released it already".to_owned())
}

fn hold_owner<'a>(hold: &Hold<'a>) -> &'a str {
    &hold.acquire.owner
}

/// Says who held the key during the whole release, if `wrong` is true of that owner.
///
/// The caller's own hold counts up to its first release; it ends where that begins.
fn held_by(
    key: &Key<'_>,
    release: &Event,
    history: &History,
    rules: &Rules,
    wrong: impl Fn(&str) -> bool,
) -> Option<String> {
    let own = key.hold(&release.owner).filter(|hold| is_first(key, release, hold.acquire));
    let span = Span { from: release.start, to: release.end + rules.rounding };
    // A majority may not have the lock although no other owner can have a majority.
    let whole = |hold: &&Hold<'_>| !history.thins(hold.acquire.start, release.end);
    let lasts = own.filter(whole).filter(|hold| hold.sure.is_some()).and_then(|hold| hold.lasts);
    if lasts.is_some_and(|until| span.to <= until) && wrong(&release.owner) {
        return Some("it held it".to_owned());
    }
    let holder = hold_owner(key.certain(span).filter(whole)?);
    wrong(holder).then(|| format!("{holder} held it"))
}

/// Whether this is the first release after the acquire.
fn is_first(key: &Key<'_>, release: &Event, acquire: &Event) -> bool {
    let first = key.releases.iter().find(|other| other.owner == release.owner);
    acquire.end <= release.start && first.is_some_and(|first| first.start == release.start)
}

#[cfg(test)]
mod tests {
    use super::super::sample::{RULES, Sample};
    use super::*;
    use crate::history::{
        Answer::{Died, Granted, Held, HeldByOther, Left, Missing, NotDone, Released},
        Broken,
    };

    fn granted() -> Sample {
        Sample::new().acquire("a", 0..10, 1_000, Granted)
    }

    #[test]
    fn held_while_somebody_may_hold() {
        granted().acquire("b", 1_005..1_025, 500, Held).is_good();
        for under_way in [Left, Died] {
            let sample = Sample::new().acquire("a", 0..400, 1_000, under_way);
            sample.acquire("b", 1_300..1_310, 500, Held).is_good();
        }
        let unknown = Sample::new().unknown("a", 0..400, 1_000, 2_000);
        unknown.acquire("b", 1_900..1_910, 500, Held).is_good();
    }

    #[test]
    fn held_while_nobody_holds_is_found() {
        granted().acquire("b", 1_100..1_110, 500, Held).breaks(Promise::TrueHeld);
        let released = granted().release("a", 100..110, Released);
        released.acquire("b", 200..210, 500, Held).breaks(Promise::TrueHeld);
        let refused = Sample::new().acquire("a", 0..10, 1_000, NotDone(String::new()));
        refused.acquire("b", 200..210, 500, Held).breaks(Promise::TrueHeld);
        let unknown = Sample::new().unknown("a", 0..400, 1_000, 2_000);
        unknown.acquire("b", 2_100..2_110, 500, Held).breaks(Promise::TrueHeld);
    }

    #[test]
    fn releases_with_true_answers() {
        granted().release("a", 100..110, Released).release("a", 120..130, Missing).is_good();
        granted().release("a", 990..1_010, Missing).is_good();
        let unknown = Sample::new().unknown("a", 0..400, 1_000, 2_000);
        unknown.clone().release("a", 500..510, Missing).is_good();
        unknown.release("a", 500..510, Released).is_good();
        let refused = granted().acquire("b", 50..60, 1_000, Held);
        refused.release("b", 100..110, HeldByOther).is_good();
    }

    #[test]
    fn a_release_of_what_was_not_held_is_found() {
        let held = granted().acquire("b", 50..60, 1_000, Held);
        held.release("b", 100..110, Released).breaks(Promise::TrueRelease);
        granted().release("a", 1_100..1_110, Released).breaks(Promise::TrueRelease);
        let twice = granted().release("a", 100..110, Released);
        twice.release("a", 115..120, Released).breaks(Promise::TrueRelease);
    }

    #[test]
    fn a_minority_may_have_what_a_majority_has_not() {
        let rules = Rules { by_majority: true, ..RULES };
        let sample = granted().release("a", 100..110, Released);
        for left in [
            sample.clone().release("a", 115..120, Released),
            sample.clone().acquire("b", 200..210, 500, Held),
            granted().acquire("b", 50..60, 1_000, Held).release("b", 100..110, Released),
        ] {
            left.is_good_by(&rules);
            assert_ne!(super::super::check(&left.history, &RULES).len(), 0);
        }
        sample.acquire("b", 1_100..1_110, 500, Held).breaks_all_by(&rules, &[Promise::TrueHeld]);
    }

    #[test]
    fn a_denial_to_the_holder_is_found() {
        granted().release("a", 100..110, Missing).breaks(Promise::TrueRelease);
        let other = granted().unknown("b", 50..60, 1_000, 1_060);
        other.release("a", 100..110, HeldByOther).breaks(Promise::TrueRelease);
        let amnesia = granted().broken(Broken::Amnesia, 50..60);
        amnesia.release("a", 100..110, Missing).is_good();
        let thinned = granted().broken(Broken::MinorityAmnesia, 50..60);
        thinned.release("a", 100..110, Missing).is_good();
        let later = granted().broken(Broken::MinorityAmnesia, 120..130);
        later.release("a", 100..110, Missing).breaks(Promise::TrueRelease);
    }

    #[test]
    fn an_other_holder_is_neither_denied_nor_invented() {
        let held = granted().acquire("b", 50..60, 1_000, Held);
        held.release("b", 100..110, Missing).breaks(Promise::TrueRelease);
        let late = granted().release("a", 1_100..1_110, HeldByOther);
        late.breaks(Promise::TrueRelease);
    }
}

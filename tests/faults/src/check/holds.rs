//! Owners that surely hold a key, and owners that may hold it.

use std::collections::{BTreeMap, HashMap};

use super::{
    clock::{earliest_end, latest_end, may_mislead},
    pace::Pace,
    violation::Rules,
};
use crate::history::{Answer, Broken, Event, History, Nanos, Observation, Window, ms};

/// A stretch of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// Its first moment.
    pub from: Nanos,
    /// Its last moment.
    pub to: Nanos,
}

impl Span {
    /// The time of a call.
    pub fn of(event: &Event) -> Self {
        Self { from: event.start, to: event.end }
    }

    /// Whether the whole of `other` is in this one.
    pub fn covers(self, other: Self) -> bool {
        self.from <= other.from && other.to <= self.to
    }
}

/// The lock that one acquire took.
#[derive(Debug)]
pub struct Hold<'a> {
    /// The acquire.
    pub acquire: &'a Event,
    /// Until when it lasts at least, if it was granted and nobody releases it: its time counted from the call's
    /// start is not over, the servers have not lost it, and its clock was not set forward.
    pub lasts: Option<Nanos>,
    /// Until when it exists at least, if it was granted: its owner has not begun to release it.
    pub ends: Option<Nanos>,
    /// When its owner holds the lock beyond doubt: it got the answer, and it has not [ended](Self::ends).
    pub sure: Option<Span>,
    /// When its owner may hold the lock. `None` if the acquire found it held.
    pub may: Option<Span>,
    /// When some server may have it. With a majority this includes the time after a release that a few servers have not
    /// answered, and a lock that a few granted and the others denied.
    pub part: Option<Span>,
}

/// All that happened to one key.
pub struct Key<'a> {
    /// The key.
    pub name: &'a str,
    /// The acquires, by their start.
    pub holds: Vec<Hold<'a>>,
    /// The releases, by their start.
    pub releases: Vec<&'a Event>,
    /// The observations of the driver, by time.
    pub seen: Vec<&'a Observation>,
    by_owner: HashMap<&'a str, usize>,
    longest: Nanos,
    slack: Nanos,
}

impl<'a> Key<'a> {
    /// All keys of a history.
    pub fn all(history: &'a History, rules: &Rules) -> Vec<Self> {
        let mut keys = BTreeMap::<&str, (Vec<&Event>, Vec<&Observation>)>::new();
        for event in &history.events {
            keys.entry(&event.key).or_default().0.push(event);
        }
        for observation in &history.observations {
            keys.entry(&observation.key).or_default().1.push(observation);
        }
        let pace = Pace::of(history, rules);
        let key = |(name, (events, seen))| Self::new(name, events, seen, history, &pace, rules);
        keys.into_iter().map(key).collect()
    }

    fn new(
        name: &'a str,
        mut events: Vec<&'a Event>,
        seen: Vec<&'a Observation>,
        history: &History,
        pace: &Pace,
        rules: &Rules,
    ) -> Self {
        events.sort_by_key(|event| event.start);
        let (acquires, releases): (Vec<_>, Vec<_>) =
            events.into_iter().partition(|event| event.ttl().is_some());
        let mut released = HashMap::<&str, Vec<&Event>>::new();
        for &release in &releases {
            released.entry(&release.owner).or_default().push(release);
        }
        let hold = |acquire: &'a Event| {
            let releases = released.get(&*acquire.owner).map_or(&[][..], Vec::as_slice);
            let round_trip = pace.round_trip(acquire);
            let lasts = lasts(acquire, history, round_trip, rules);
            let released = releases.first().map_or(Nanos::MAX, |release| release.start);
            let ends = lasts.map(|lasts| lasts.min(released));
            let sure = ends.filter(|end| acquire.end < *end);
            let sure = sure.map(|to| Span { from: acquire.end, to });
            let may = may(acquire, releases, history, round_trip, rules);
            let part = if rules.by_majority { part(acquire, may, round_trip) } else { may };
            Hold { acquire, lasts, ends, sure, may, part }
        };
        let holds: Vec<_> = acquires.into_iter().map(hold).collect();
        let by_owner =
            holds.iter().enumerate().map(|(at, hold)| (&*hold.acquire.owner, at)).collect();
        let lengths = holds.iter().filter_map(|hold| hold.part).map(|part| part.to - part.from);
        let longest = lengths.max().unwrap_or_default();
        Self { name, holds, releases, seen, by_owner, longest, slack: rules.slack }
    }

    /// The hold of an owner.
    pub fn hold(&self, owner: &str) -> Option<&Hold<'a>> {
        self.by_owner.get(owner).map(|&at| &self.holds[at])
    }

    /// The observations of the driver up to `time`.
    pub fn seen_until(&self, time: Nanos) -> &[&'a Observation] {
        &self.seen[..self.seen.partition_point(|seen| seen.end <= time)]
    }

    /// The holds that may exist at some moment of `span`, in part at least, the slack included.
    pub fn possible(&self, span: Span) -> impl Iterator<Item = &Hold<'a>> {
        let end = self.holds.partition_point(|hold| hold.acquire.start <= span.to);
        let earliest = span.from.saturating_sub(self.longest + self.slack);
        let near = self.holds[..end].iter().rev();
        let near = near.take_while(move |hold| hold.acquire.start >= earliest);
        near.filter(move |hold| hold.part.is_some_and(|part| part.to + self.slack >= span.from))
    }

    /// The hold that exists in the whole of `span`.
    pub fn certain(&self, span: Span) -> Option<&Hold<'a>> {
        self.possible(span).find(|hold| hold.sure.is_some_and(|sure| sure.covers(span)))
    }
}

fn lasts(acquire: &Event, history: &History, round_trip: Nanos, rules: &Rules) -> Option<Nanos> {
    if acquire.answer != Answer::Granted {
        return None;
    }
    let lease = acquire.start + acquire.ttl()?;
    let forgets = |window: &&Window| rules.forgets(window.kind) && acquire.start < window.end;
    let forgotten = history.windows.iter().filter(forgets).map(|window| window.start).min();
    let lease = earliest_end(acquire, lease, history, round_trip);
    Some(lease.min(forgotten.unwrap_or(Nanos::MAX)))
}

fn may(
    acquire: &Event,
    releases: &[&Event],
    history: &History,
    round_trip: Nanos,
    rules: &Rules,
) -> Option<Span> {
    // The command was sent before the call ended, and not again after that.
    let last = acquire.end + acquire.ttl()? + round_trip;
    let latest = |bound, confirmed| latest_end(acquire, bound, confirmed, history, round_trip);
    let bound = match &acquire.answer {
        Answer::Granted => latest(last, true),
        Answer::Left | Answer::Died | Answer::Pending => latest(last, false),
        Answer::Unknown { .. } => latest(reported_end(acquire, history).unwrap_or(last), false),
        // A lock that was given back may still be at the replica.
        Answer::NotDone(_) if history.fails_over(acquire.start, last) => last,
        // It may have had a lock that was over before the answer.
        Answer::NotDone(_) => acquire.end,
        // So may an earlier try that was given back.
        _ if rules.by_majority || may_mislead(acquire, history) => acquire.end,
        _ => return None,
    };
    // A release that finds nothing proves something only about a lock that was granted: a delayed command can
    // still arrive after it.
    let granted = acquire.answer == Answer::Granted;
    let over = |release: &&&Event| match release.answer {
        // With a majority, one server that had it is enough for this answer.
        Answer::Released => granted || !rules.by_majority,
        Answer::Missing | Answer::HeldByOther => granted,
        _ => false,
    };
    // A replica that does not know of a release yet brings the lock back when it is promoted.
    let stays = |release: &&&Event| !history.fails_over(release.start, bound);
    let released = releases.iter().filter(over).filter(stays);
    let released = released.map(|release| release.end).min();
    let to = bound.min(released.unwrap_or(Nanos::MAX)).max(acquire.start);
    Some(Span { from: acquire.start, to })
}

/// When some server may have a lock that a majority `may` have.
fn part(acquire: &Event, may: Option<Span>, round_trip: Nanos) -> Option<Span> {
    let last = acquire.end + acquire.ttl()? + round_trip;
    let to = match acquire.answer {
        // All of it was given back.
        Answer::NotDone(_) => acquire.end,
        _ => may.map_or(last, |may| may.to.max(last)),
    };
    Some(Span { from: acquire.start, to })
}

/// Until when the lock may be held, as was reported to the caller by its wall clock. `None` if that was set meanwhile.
fn reported_end(acquire: &Event, history: &History) -> Option<Nanos> {
    let Answer::Unknown { held_until: Some(until), .. } = acquire.answer else { return None };
    let left = ms(until).saturating_sub(ms(acquire.wall));
    (!history.touches(acquire, Broken::WorkerClocks)).then_some(acquire.end + left)
}

#[cfg(test)]
mod tests {
    use super::super::sample::{RULES, Sample};
    use super::*;

    fn span(from: u64, to: u64) -> Option<Span> {
        Some(Span { from: ms(from), to: ms(to) })
    }

    #[test]
    fn a_hold_lasts_until_its_release_its_expiry_or_the_loss_of_data() {
        let granted = Sample::new().acquire("a", 10..20, 1_000, Answer::Granted);
        for (sample, sure, may) in [
            (granted.clone(), span(20, 1_010), span(10, 1_020)),
            (
                granted.clone().release("a", 500..510, Answer::Released),
                span(20, 500),
                span(10, 510),
            ),
            (granted.clone().release("a", 500..510, Answer::Left), span(20, 500), span(10, 1_020)),
            (granted.clone().broken(Broken::Amnesia, 300..400), span(20, 300), span(10, 1_020)),
            (granted.clone().broken(Broken::Amnesia, 1..5), span(20, 1_010), span(10, 1_020)),
            (Sample::new().acquire("a", 10..2_000, 1_000, Answer::Granted), None, span(10, 3_000)),
            (Sample::new().acquire("a", 10..20, 1_000, Answer::Held), None, None),
            (Sample::new().acquire("a", 10..20, 1_000, Answer::Left), None, span(10, 1_020)),
            (
                Sample::new().acquire("a", 10..20, 9, Answer::NotDone(String::new())),
                None,
                span(10, 20),
            ),
            (Sample::new().unknown("a", 10..20, 1_000, 1_500), None, span(10, 1_500)),
        ] {
            let keys = Key::all(&sample.history, &RULES);
            let hold = keys[0].hold("a").unwrap();
            assert_eq!((hold.sure, hold.may), (sure, may), "{sample:?}");
        }
    }
}

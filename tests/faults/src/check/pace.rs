//! How exactly a client knows the server's clock: to the round trip in which it asked.

use std::collections::HashMap;

use super::violation::Rules;
use crate::history::{Answer, Event, History, Nanos, ms};

/// How long a client relies on a reading of the server's clock.
pub const LONGEST_USE: Nanos = ms(10_000);

/// The end of the cause of an acquire whose grant came too late.
const RAN_OUT: &str = "the lock ran out before the reply came";

/// The acquires that show that round trips were slow.
pub struct Pace {
    /// By process: when the acquire ended, and how slow its round trip may have been.
    slow: HashMap<u32, Vec<(Nanos, Nanos)>>,
    usual: Nanos,
}

impl Pace {
    /// Finds the acquires of a history that took longer than [`Rules::round_trip`]. A client reads the clock with
    /// each.
    pub fn of(history: &History, rules: &Rules) -> Self {
        let mut slow = HashMap::<u32, Vec<_>>::new();
        for event in history.events.iter().filter(|event| event.ttl().is_some()) {
            let took = slowest_round_trip(event, history, rules);
            if took > rules.round_trip {
                slow.entry(event.process).or_default().push((event.end, took));
            }
        }
        Self { slow, usual: rules.round_trip }
    }

    /// How exactly the client knew the clock with which it chose the expiry of this acquire.
    pub fn round_trip(&self, acquire: &Event) -> Nanos {
        let slow = self.slow.get(&acquire.process).map_or(&[][..], Vec::as_slice);
        let known = |(end, _): &&(Nanos, Nanos)| {
            *end < acquire.end && acquire.start <= end.saturating_add(LONGEST_USE)
        };
        let slowest = slow.iter().filter(known).map(|(_, took)| *took).max();
        slowest.map_or(self.usual, |slowest| slowest.max(self.usual))
    }
}

/// How slow a round trip of this acquire may have been whose reply was believed. If the acquire took longer than a
/// client waits, that was one of several tries, unless nobody got a processor.
fn slowest_round_trip(acquire: &Event, history: &History, rules: &Rules) -> Nanos {
    let answered = match &acquire.answer {
        Answer::Granted | Answer::Held => true,
        Answer::NotDone(cause) => cause.ends_with(RAN_OUT),
        _ => false,
    };
    let patience = if answered { rules.patience } else { 0 };
    (acquire.end - acquire.start).min(patience + history.stopped(acquire))
}

#[cfg(test)]
mod tests {
    use super::super::sample::{RULES, Sample};
    use super::*;
    use crate::history::Broken;
    use Answer::{Granted, Held, Left, NotDone};

    #[test]
    fn slow_answers_of_the_process_make_the_clock_inexact_for_a_while() {
        let sample =
            Sample::new().acquire("a", 0..300, 100, Held).acquire("b", 0..900, 100, Granted);
        let sample =
            sample.acquire("c", 0..500, 100, Left).acquire("d", 10_200..10_210, 1, Granted);
        let pace = Pace::of(&sample.history, &RULES);
        let round_trip = |process: u32, call: usize| {
            pace.round_trip(&Event { process, ..sample.history.events[call].clone() })
        };
        assert_eq!([0, 1, 2, 3].map(|process| round_trip(process, 3)), [300, 500, 0, 0].map(ms));
        let later =
            Event { start: ms(11_000), end: ms(11_001), ..sample.history.events[0].clone() };
        assert_eq!(pace.round_trip(&later), 0);
    }

    #[test]
    fn a_client_that_got_no_processor_took_a_reply_that_came_after_its_patience() {
        let late = NotDone(format!("redis: {RAN_OUT}"));
        let sample = Sample::new().acquire("a", 0..3_000, 100, late);
        let sample = sample.acquire("b", 3_001..3_002, 1, Held);
        let round_trip = |sample: &Sample| {
            let acquire = Event { process: 0, ..sample.history.events[1].clone() };
            Pace::of(&sample.history, &RULES).round_trip(&acquire)
        };
        assert_eq!(round_trip(&sample), RULES.patience);
        assert_eq!(round_trip(&sample.broken(Broken::Starved, 500..2_900)), ms(2_900));
    }
}

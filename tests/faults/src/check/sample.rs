//! Histories for the tests of the checker. Times are milliseconds, and all calls are on one key.

use std::ops::Range;

use super::violation::{Loses, Promise, Rules, Violation};
use crate::history::{Answer, Broken, Call, Event, History, Nanos, Observation, Window, ms};

/// The tolerances of the tests.
pub const RULES: Rules = Rules {
    slack: ms(20),
    rounding: ms(2),
    round_trip: 0,
    patience: ms(500),
    limit: ms(5_000),
    loses: Loses::Never,
    by_majority: false,
};

/// A history in the making.
#[derive(Clone, Debug)]
pub struct Sample {
    /// The history.
    pub history: History,
}

impl Sample {
    /// A history in which nothing has happened.
    pub fn new() -> Self {
        Self { history: History { settled: Nanos::MAX, ..History::default() } }
    }

    /// An acquire. Each has a process of its own, numbered from 0.
    pub fn acquire(self, owner: &str, time: Range<u64>, ttl: u64, answer: Answer) -> Self {
        self.call(owner, time, Call::Acquire(ttl), answer)
    }

    /// An acquire whose outcome is unknown.
    pub fn unknown(self, owner: &str, time: Range<u64>, ttl: u64, held_until: u64) -> Self {
        let cause = "lost".to_owned();
        self.acquire(owner, time, ttl, Answer::Unknown { cause, held_until: Some(held_until) })
    }

    /// A grant with a fencing token.
    pub fn numbered(mut self, owner: &str, time: Range<u64>, ttl: u64, token: u64) -> Self {
        self = self.acquire(owner, time, ttl, Answer::Granted);
        self.history.events.last_mut().unwrap().token = Some(token);
        self
    }

    /// A release.
    pub fn release(self, owner: &str, time: Range<u64>, answer: Answer) -> Self {
        self.call(owner, time, Call::Release, answer)
    }

    /// An observation of the driver.
    pub fn seen(mut self, owner: Option<&str>, time: Range<u64>) -> Self {
        self.history.observations.push(Observation {
            key: "k".to_owned(),
            owner: owner.map(str::to_owned),
            start: ms(time.start),
            end: ms(time.end),
        });
        self
    }

    /// A fault of the driver.
    pub fn broken(mut self, kind: Broken, time: Range<u64>) -> Self {
        self.history.windows.push(Window { kind, start: ms(time.start), end: ms(time.end) });
        self
    }

    /// When all keys must be free.
    pub fn settled(mut self, at: u64) -> Self {
        self.history.settled = ms(at);
        self
    }

    /// Checks that all promises were kept.
    pub fn is_good(&self) {
        self.is_good_by(&RULES);
    }

    /// Checks that all promises were kept, by these rules.
    pub fn is_good_by(&self, rules: &Rules) {
        self.breaks_all_by(rules, &[]);
    }

    /// Checks that only this promise was broken.
    pub fn breaks(&self, promise: Promise) {
        self.breaks_all(&[promise]);
    }

    /// Checks that only these promises were broken, in this order.
    pub fn breaks_all(&self, promises: &[Promise]) {
        self.breaks_all_by(&RULES, promises);
    }

    /// Checks that only these promises were broken by these rules, in this order.
    pub fn breaks_all_by(&self, rules: &Rules, promises: &[Promise]) {
        let promise = |violation: Violation| violation.promise;
        let broken: Vec<_> = super::check(&self.history, rules).into_iter().map(promise).collect();
        assert_eq!(broken, promises);
    }

    fn call(mut self, owner: &str, time: Range<u64>, call: Call, answer: Answer) -> Self {
        let number = self.history.events.len();
        self.history.events.push(Event {
            process: u32::try_from(number).unwrap(),
            worker: 0,
            number: 0,
            key: "k".to_owned(),
            owner: owner.to_owned(),
            call,
            start: ms(time.start),
            end: ms(time.end),
            wall: time.end,
            answer,
            token: None,
        });
        self
    }
}

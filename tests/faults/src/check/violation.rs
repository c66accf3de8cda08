//! The findings of the checker, and its tolerances.

use std::fmt;

use crate::history::{Broken, Event, Nanos};

/// The tolerances of the checker.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    /// How much later than its bound a lock may be seen: the precision of clocks and of the driver.
    pub slack: Nanos,
    /// How much earlier than its time to live a lock may end: the server counts whole milliseconds.
    pub rounding: Nanos,
    /// How much longer than its time to live a granted lock may last. Its expiry is a time of the server's clock,
    /// which a client knows only to the round trip in which it asked. Slow answers prove a larger value.
    pub round_trip: Nanos,
    /// How long a client waits for a reply.
    pub patience: Nanos,
    /// How long a call may take.
    pub limit: Nanos,
    /// Which locks may be lost.
    pub loses: Loses,
    /// Whether a lock is where a majority of the servers has it. Others may have a part of one.
    pub by_majority: bool,
}

/// Which locks may be lost besides those of a server that loses its data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loses {
    /// None.
    Never,
    /// Those that were taken before a failover was over.
    InFailover,
}

impl Rules {
    /// Whether the servers may forget the locks that there are when this is broken.
    pub fn forgets(&self, kind: Broken) -> bool {
        match kind {
            Broken::Amnesia => true,
            Broken::Failover => self.loses == Loses::InFailover,
            _ => false,
        }
    }
}

/// A promise of the lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Promise {
    /// Two owners never hold a key at once.
    OneHolder,
    /// Nobody gets the answer that it has a lock that is over, or that another one has.
    FreshGrant,
    /// No lock is granted while nobody can use a majority of the servers.
    Majority,
    /// A holder keeps the lock until it releases it or its time is over.
    Kept,
    /// `held` is only answered when somebody may hold the key.
    TrueHeld,
    /// A release tells the truth.
    TrueRelease,
    /// The fencing token of a grant is larger than those of the grants before it.
    Growing,
    /// A lock ends by the time that its acquire said.
    Bounded,
    /// A call ends within its limit.
    Prompt,
    /// At the end every key is free.
    Free,
    /// After the last fault locks are granted again.
    Recovery,
}

/// A promise that was broken.
#[derive(Clone, Debug)]
pub struct Violation {
    /// Which one.
    pub promise: Promise,
    /// The key.
    pub key: String,
    /// When it was broken, or when that was noticed.
    pub at: Nanos,
    /// The violation in a sentence.
    pub what: String,
    /// The owners that took part. The first is the owner of the lock that was broken.
    pub owners: Vec<String>,
}

impl Violation {
    /// A violation that was noticed in the answer to a call.
    pub fn in_answer(promise: Promise, event: &Event, what: String, others: &[&Event]) -> Self {
        let owners = others.iter().chain([&event]).map(|event| event.owner.clone()).collect();
        Self { promise, key: event.key.clone(), at: event.end, what, owners }
    }
}

impl fmt::Display for Promise {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::OneHolder => "one holder",
            Self::FreshGrant => "fresh grant",
            Self::Majority => "granted by a majority",
            Self::Kept => "kept",
            Self::TrueHeld => "true `held`",
            Self::TrueRelease => "true release",
            Self::Growing => "growing tokens",
            Self::Bounded => "bounded",
            Self::Prompt => "prompt",
            Self::Free => "free at the end",
            Self::Recovery => "recovery",
        })
    }
}

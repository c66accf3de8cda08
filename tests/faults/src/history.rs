//! The history of one run: the calls of all workers, the observations of the driver in Redis, and its faults.
//!
//! All times are nanoseconds of the machine's monotonic clock, which every process reads alike.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};

/// A time, or a length of time.
pub type Nanos = u64;

/// A call of a worker. A worker writes it as a line of JSON twice: when it starts, as
/// [`Pending`](Answer::Pending), and when it ends.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// The worker process.
    pub process: u32,
    /// The task in the process.
    pub worker: u32,
    /// The call's number in the process.
    pub number: u64,
    /// The lock's key.
    pub key: String,
    /// The owner. Each acquire has its own.
    pub owner: String,
    /// The method.
    pub call: Call,
    /// When the call began.
    pub start: Nanos,
    /// When the answer arrived.
    pub end: Nanos,
    /// The wall clock of the process when the answer arrived, in milliseconds since 1970.
    pub wall: u64,
    /// The answer.
    pub answer: Answer,
    /// The fencing token of a grant that was asked for with one.
    pub token: Option<u64>,
}

/// The method that a worker calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Call {
    /// Takes the lock for this many milliseconds.
    Acquire(u64),
    /// Releases the lock.
    Release,
}

/// How a call ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Answer {
    /// It has not ended.
    Pending,
    /// An acquire took the lock.
    Granted,
    /// Somebody has the lock.
    Held,
    /// A release freed the lock.
    Released,
    /// Nobody has the lock.
    Missing,
    /// Another owner has the lock.
    HeldByOther,
    /// It failed, and nothing was done.
    NotDone(String),
    /// It failed, and nobody knows whether it was done.
    Unknown {
        /// Why.
        cause: String,
        /// Until when the lock may be held, by the wall clock of the process, in milliseconds since 1970.
        held_until: Option<u64>,
    },
    /// The caller dropped the call.
    Left,
    /// The process was killed.
    Died,
}

/// The value of a key when the driver looked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Observation {
    /// The key.
    pub key: String,
    /// Its value, if it is set.
    pub owner: Option<String>,
    /// When the driver asked.
    pub start: Nanos,
    /// When it was answered.
    pub end: Nanos,
}

/// A stretch of time in which the driver broke something.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Window {
    /// The kind of fault.
    pub kind: Broken,
    /// When it began.
    pub start: Nanos,
    /// When it was over.
    pub end: Nanos,
}

/// What the driver broke.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Broken {
    /// One round of the fault.
    Fault,
    /// The server lost its data at some moment of this window.
    Amnesia,
    /// A minority of a quorum's servers lost their data at some moment of this window.
    MinorityAmnesia,
    /// Nobody could use a minority of a quorum's servers.
    MinorityGone,
    /// Nobody could use a majority of a quorum's servers.
    MajorityGone,
    /// A replica was made the master, at some moment of this window. When it is over, all agree on that.
    Failover,
    /// This worker process stood still.
    Stopped(u32),
    /// The driver got no processor, and perhaps nobody did.
    Starved,
    /// The server's clock was set forward by so many milliseconds, at some moment of this window.
    ServerClock(i64),
    /// The workers' wall clocks were set at some moment of this window.
    WorkerClocks,
}

/// One run.
#[derive(Clone, Debug, Default)]
pub struct History {
    /// The calls, by their start.
    pub events: Vec<Event>,
    /// The observations of the driver, by time.
    pub observations: Vec<Observation>,
    /// What the driver broke.
    pub windows: Vec<Window>,
    /// The wall clock's time when the monotonic clock is 0.
    pub wall_offset: Nanos,
    /// When every lock must be free: the longest time to live has passed since the last call.
    pub settled: Nanos,
}

/// The monotonic clock.
pub fn now() -> Nanos {
    let time = clock_gettime(ClockId::Monotonic);
    let seconds = u64::try_from(time.tv_sec).unwrap_or_default();
    seconds * 1_000_000_000 + u64::try_from(time.tv_nsec).unwrap_or_default()
}

/// The wall clock, in milliseconds since 1970.
pub fn wall() -> u64 {
    let time = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// The wall clock's time when the monotonic clock is 0.
pub fn wall_offset() -> Nanos {
    nanos(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()) - now()
}

/// A length of time.
pub fn nanos(length: Duration) -> Nanos {
    u64::try_from(length.as_nanos()).unwrap_or(Nanos::MAX)
}

/// Milliseconds.
pub const fn ms(milliseconds: u64) -> Nanos {
    milliseconds * 1_000_000
}

impl Event {
    /// The time to live that an acquire asked for; `None` for a release.
    pub fn ttl(&self) -> Option<Nanos> {
        match self.call {
            Call::Acquire(ttl) => Some(ms(ttl)),
            Call::Release => None,
        }
    }

    /// Why the call failed, if it did.
    pub fn cause(&self) -> Option<&str> {
        match &self.answer {
            Answer::NotDone(cause) | Answer::Unknown { cause, .. } => Some(cause),
            _ => None,
        }
    }
}

impl History {
    /// For how long the process of the call may have stood still while it was under way.
    pub fn stopped(&self, event: &Event) -> Nanos {
        let stops = |window: &&Window| {
            [Broken::Stopped(event.process), Broken::Starved].contains(&window.kind)
        };
        let within = |window: &Window| {
            window.end.min(event.end).saturating_sub(window.start.max(event.start))
        };
        self.windows.iter().filter(stops).map(within).sum()
    }

    /// Whether a replica may have been made the master between these times.
    pub fn fails_over(&self, from: Nanos, to: Nanos) -> bool {
        let within = |window: &Window| window.start <= to && from <= window.end;
        self.windows.iter().any(|window| window.kind == Broken::Failover && within(window))
    }

    /// Whether a minority of a quorum may have lost its data between these times.
    pub fn thins(&self, from: Nanos, to: Nanos) -> bool {
        let within = |window: &Window| window.start <= to && from <= window.end;
        self.windows.iter().any(|window| window.kind == Broken::MinorityAmnesia && within(window))
    }

    /// Whether the whole call was under way while something of this kind was broken.
    pub fn is_within(&self, event: &Event, kind: Broken) -> bool {
        let whole = |window: &Window| window.start <= event.start && event.end <= window.end;
        self.windows.iter().any(|window| window.kind == kind && whole(window))
    }

    /// Whether the call was under way while something of this kind was broken.
    pub fn touches(&self, event: &Event, kind: Broken) -> bool {
        let broken = |window: &&Window| window.kind == kind;
        let touch = |window: &Window| window.start <= event.end && event.start <= window.end;
        self.windows.iter().filter(broken).any(touch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_one_line_of_json() {
        let event = Event {
            process: 1,
            worker: 2,
            number: 3,
            key: "k".to_owned(),
            owner: "o".to_owned(),
            call: Call::Acquire(200),
            start: 4,
            end: 5,
            wall: 6,
            answer: Answer::Unknown { cause: "x\ny".to_owned(), held_until: Some(6) },
            token: Some(7),
        };
        let line = serde_json::to_string(&event).unwrap();
        assert!(!line.contains('\n'), "{line}");
        assert_eq!(serde_json::from_str::<Event>(&line).unwrap(), event);
    }

    #[test]
    fn the_wall_clock_is_the_monotonic_clock_and_an_offset() {
        let wall = nanos(SystemTime::now().duration_since(UNIX_EPOCH).unwrap());
        assert!(wall.abs_diff(now() + wall_offset()) < ms(1_000));
    }
}

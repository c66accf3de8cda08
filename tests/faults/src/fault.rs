//! The definition of a fault. The faults themselves are in `faults/`, one family a file.

use std::time::Duration;

use anyhow::Result;

use crate::{
    check::violation::Loses,
    history::{Answer, Broken, Event, History, Nanos, ms, nanos},
    servers::Layout,
    stage::{Road, Stage, Wall},
};

/// How far apart two wall clocks are that are not the same.
const OTHER_CLOCK: Nanos = ms(40);

/// Something that is broken and mended in rounds, while workers take locks.
#[derive(Clone, Copy)]
pub struct Fault {
    /// Its name on the command line.
    pub name: &'static str,
    /// How the workers reach the servers.
    pub road: Road,
    /// Whose wall clock it sets.
    pub wall: Wall,
    /// The servers.
    pub servers: Layout,
    /// Which locks it may lose.
    pub loses: Loses,
    /// The shortest run, in seconds, in which a round fits.
    pub needs: u64,
    /// The slowest round trip that it causes and that still brings a client its answer, in milliseconds.
    pub round_trip: u64,
    /// The evidence that the fault really happened.
    pub evidence: Evidence,
    /// Breaks something, and mends it again. Returns how much was broken, where [`Evidence::Counted`] asks for
    /// it.
    pub round: fn(&mut Stage) -> Result<u64>,
}

/// The evidence that a fault was felt.
#[derive(Clone, Copy, Debug)]
pub enum Evidence {
    /// The count of the rounds.
    Counted,
    /// Calls that failed.
    Failed,
    /// Calls that failed with this word in their cause.
    Cause(&'static str),
    /// Calls whose outcome is unknown.
    Unknown,
    /// Calls that took at least this long.
    Slow(Duration),
    /// Calls whose process was killed.
    Died,
    /// Locks that were granted while nobody could use a minority of a quorum's servers.
    Meanwhile,
    /// Locks that were refused while nobody could use a majority of them.
    Refused,
    /// Calls whose process had another wall clock than the driver.
    WallClock,
}

impl Evidence {
    /// How often the fault was felt, during its rounds.
    pub fn count(self, history: &History, counted: u64) -> u64 {
        let shows = |event: &&Event| match self {
            Self::Counted => false,
            Self::Failed => event.cause().is_some(),
            Self::Cause(word) => event.cause().is_some_and(|cause| cause.contains(word)),
            Self::Unknown => matches!(event.answer, Answer::Unknown { .. }),
            Self::Slow(length) => event.end - event.start >= nanos(length),
            Self::Died => event.answer == Answer::Died,
            Self::Meanwhile => {
                event.answer == Answer::Granted && history.is_within(event, Broken::MinorityGone)
            }
            Self::Refused => {
                event.cause().is_some() && history.is_within(event, Broken::MajorityGone)
            }
            Self::WallClock => {
                let driver = event.end + history.wall_offset;
                event.wall > 0 && ms(event.wall).abs_diff(driver) > OTHER_CLOCK
            }
        };
        match self {
            Self::Counted => counted,
            _ => {
                let felt = history.events.iter().filter(shows);
                felt.filter(|event| history.touches(event, Broken::Fault)).count() as u64
            }
        }
    }
}

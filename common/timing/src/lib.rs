//! The times of a lock, whatever server keeps it. Needs no clock.
//!
//! | module | what lives there |
//! |---|---|
//! | [`pauses`] | how long to wait between tries to take a lock that is held |
//! | [`late`] | how long a command without a reply can still take effect |
//! | [`go_duration`] | durations in the form of Go's `time.ParseDuration` |

#![no_std]

#[cfg(test)]
extern crate alloc;

use core::{ops::Add, time::Duration};

pub mod go_duration;
pub mod late;
pub mod pauses;

/// A time in whole milliseconds, rounded down; `u64::MAX` if a `u64` cannot hold them.
pub fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// A time in whole milliseconds, rounded up; `u64::MAX` if a `u64` cannot hold them.
pub fn whole_milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX)
}

/// `now` plus `time`, by the clock's `checked_add`. If the clock cannot hold the sum, `time` is 136 years instead.
pub fn after<I: Copy + Add<Duration, Output = I>>(
    now: I,
    time: Duration,
    checked_add: fn(&I, Duration) -> Option<I>,
) -> I {
    checked_add(&now, time).unwrap_or(now + Duration::from_secs(u32::MAX.into()))
}

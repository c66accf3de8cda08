//! Deadlines and pauses by the monotonic clock, the time of day, and random numbers.

use alloc::{format, string::String};
use core::time::Duration;

use wasip2::{
    clocks::{
        monotonic_clock::{self, Instant},
        wall_clock,
    },
    io::poll::{Pollable, poll},
    random::{insecure::get_insecure_random_u64, random::get_random_u64},
};

/// The end of a wait; `None` for no end.
#[derive(Clone, Copy)]
pub(crate) struct Deadline(Option<Instant>);

impl Deadline {
    /// The deadline `limit` from now. `None`, or a limit that the clock cannot hold, gives no end.
    pub(crate) fn after(limit: Option<Duration>) -> Self {
        let end = |limit| monotonic_clock::now().checked_add(nanoseconds(limit)?);
        Self(limit.and_then(end))
    }

    /// Waits for `event`, until the deadline at most. Returns whether the event has come.
    pub(crate) fn wait(self, event: &Pollable) -> bool {
        match self.0 {
            None => {
                event.block();
                true
            }
            Some(end) => {
                let timer = monotonic_clock::subscribe_instant(end);
                poll(&[event, &timer]).contains(&0)
            }
        }
    }

    /// The time that is left; `None` if the wait has no end.
    pub(crate) fn left(self) -> Option<Duration> {
        self.0.map(|end| Duration::from_nanos(end.saturating_sub(monotonic_clock::now())))
    }

    /// An earlier deadline, for the first of `waits` waits that share the time evenly.
    pub(crate) fn share(self, waits: usize) -> Self {
        let waits = u32::try_from(waits).unwrap_or(u32::MAX).max(1);
        Self::after(self.left().map(|left| left / waits))
    }
}

/// The time of the monotonic clock.
pub(crate) fn now() -> Duration {
    Duration::from_nanos(monotonic_clock::now())
}

/// The time since an earlier [`monotonic_clock::now`].
pub(crate) fn since(earlier: Instant) -> Duration {
    Duration::from_nanos(monotonic_clock::now().saturating_sub(earlier))
}

/// Waits for this time.
pub(crate) fn pause(time: Duration) {
    if let Some(time) = nanoseconds(time) {
        monotonic_clock::subscribe_duration(time).block();
    }
}

/// Milliseconds since 1970-01-01T00:00:00Z, rounded up.
pub(crate) fn wall_clock() -> u64 {
    let now = wall_clock::now();
    now.seconds.saturating_mul(1_000).saturating_add(u64::from(now.nanoseconds.div_ceil(1_000_000)))
}

/// A random number, good enough to spread retries and for nothing else.
pub(crate) fn random() -> u64 {
    get_insecure_random_u64()
}

/// A new owner, which nobody can guess: 128 random bits in hexadecimal digits.
pub(crate) fn fresh_owner() -> String {
    format!("{:016x}{:016x}", get_random_u64(), get_random_u64())
}

/// A readable form of a limit. [`Duration`]'s own form would add 3 KB to the component.
pub(crate) fn written(limit: Duration) -> String {
    match limit.subsec_millis() {
        0 => format!("{}s", limit.as_secs()),
        rest => format!("{}ms", limit.as_secs().saturating_mul(1_000).saturating_add(rest.into())),
    }
}

fn nanoseconds(time: Duration) -> Option<u64> {
    u64::try_from(time.as_nanos()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_short() {
        for (milliseconds, text) in [(0, "0s"), (200, "200ms"), (1_000, "1s"), (1_500, "1500ms")] {
            assert_eq!(written(Duration::from_millis(milliseconds)), text);
        }
    }
}

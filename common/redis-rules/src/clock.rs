//! The server's clock, as far as a client knows it.
//!
//! A lock expires at a time of the server's clock, so that a command which the server runs late cannot
//! prolong it. The client reads that clock with each batch that takes a lock, because it can be set at any
//! moment. Local times are given as time since any fixed moment, by a clock that never goes back.

use core::time::Duration;

use crate::reply::{Nonsense, Reply};

/// How long a [`Reading`] may be used, in microseconds. Both clocks drift apart in this time by [`DRIFT`] of it.
const LONGEST_USE: u64 = 10_000_000;

/// The words that ask for the server's clock.
pub const ASK: [&str; 1] = ["TIME"];

/// How far two clocks drift apart: 1 part in this many. Clocks that are slewed to the right time drift by
/// half of it.
const DRIFT: u64 = 1_000;

/// The server's clock at one moment between two local times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reading {
    server: u64,
    asked: u64,
    answered: u64,
}

/// What a grant is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Worth {
    /// The lock ends this long after the command was sent, or later.
    Held(Duration),
    /// The lock had ended before the server's clock was read, if it ever began.
    RanOut,
    /// The server's clock was set, so the lock ends too early or too late.
    ClockWasSet,
}

impl Reading {
    /// The server's clock showed `server`, in microseconds since 1970, at a moment between `asked` and
    /// `answered`.
    pub fn new(server: u64, asked: Duration, answered: Duration) -> Self {
        Self { server, asked: microseconds(asked), answered: microseconds(answered) }
    }

    /// Whether the reading is too old at the local time `now`.
    pub fn is_old(&self, now: Duration) -> bool {
        microseconds(now).saturating_sub(self.asked) > LONGEST_USE
    }

    /// When a lock expires whose acquire is sent now, in milliseconds since 1970 by the server's clock:
    /// never before `ttl` milliseconds have passed.
    pub fn expiry(&self, now: Duration, ttl: u64) -> u64 {
        self.latest(microseconds(now)).div_ceil(1_000).saturating_add(ttl)
    }

    /// How long from the local time `now` a lock with this expiry can last.
    pub fn lasts(&self, now: Duration, expiry: u64) -> Duration {
        let left = expiry.saturating_mul(1_000).saturating_sub(self.earliest(microseconds(now)));
        Duration::from_micros(left)
    }

    /// What a grant is worth whose acquire was sent at the local time `sent`, with this reading and this
    /// expiry. `after` was read after the server had granted it.
    pub fn worth(&self, sent: Duration, expiry: u64, after: &Self) -> Worth {
        let possible = self.earliest(microseconds(sent))..=self.latest(after.answered);
        if !possible.contains(&after.server) {
            return Worth::ClockWasSet;
        }
        match expiry.saturating_mul(1_000).saturating_sub(after.server) {
            0 => Worth::RanOut,
            // The reading is later than the sending, so the lock ends at least this long after it.
            left => Worth::Held(Duration::from_micros(left)),
        }
    }

    fn earliest(&self, now: u64) -> u64 {
        let since = now.saturating_sub(self.answered);
        self.server + (since - since / DRIFT)
    }

    fn latest(&self, now: u64) -> u64 {
        let since = now.saturating_sub(self.asked);
        self.server + since + since / DRIFT
    }
}

/// A local time, which is no more than a few centuries.
fn microseconds(time: Duration) -> u64 {
    time.as_secs().saturating_mul(1_000_000).saturating_add(time.subsec_micros().into())
}

/// Reads the reply to [`ASK`]: the server's time in microseconds since 1970.
///
/// # Errors
///
/// [`Nonsense`] for anything but seconds and microseconds.
pub fn read(reply: &Reply) -> Result<u64, Nonsense> {
    let Reply::Texts(texts) = reply else { return Err(Nonsense) };
    let [seconds, microseconds] = texts.as_slice() else { return Err(Nonsense) };
    let seconds: u32 = seconds.parse().map_err(|_| Nonsense)?;
    let microseconds: u32 = microseconds.parse().map_err(|_| Nonsense)?;
    if microseconds >= 1_000_000 {
        return Err(Nonsense);
    }
    Ok(u64::from(seconds) * 1_000_000 + u64::from(microseconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: fn(u64) -> Duration = Duration::from_millis;
    /// The server's clock.
    const NOW: u64 = 1_700_000_000_000;

    /// Asked at 100 ms and answered at 104 ms of local time.
    fn reading() -> Reading {
        Reading::new(NOW * 1_000, MS(100), MS(104))
    }

    fn read_after(server: u64, answered: u64) -> Reading {
        Reading::new(server * 1_000, MS(answered - 1), MS(answered))
    }

    #[test]
    fn a_lock_lasts_its_time_to_live_from_the_sending() {
        let reading = reading();
        assert_eq!(reading.expiry(MS(104), 1_000), NOW + 1_005);
        // By then the server's clock is between 0 and 4 ms behind the assumed one.
        assert_eq!(reading.lasts(MS(104), NOW + 1_005), MS(1_005));
        // A second later, both may have drifted by 1 ms.
        assert_eq!(reading.expiry(MS(1_100), 1_000), NOW + 2_001);
        assert_eq!(reading.lasts(MS(1_104), NOW + 2_001), MS(1_002));
        assert_eq!(reading.lasts(MS(9_000_000), NOW + 2_001), Duration::ZERO);
    }

    #[test]
    fn a_reading_is_old_after_ten_seconds() {
        assert!(!reading().is_old(MS(10_100)));
        assert!(reading().is_old(MS(10_101)));
    }

    #[test]
    fn a_prompt_grant_is_worth_its_time() {
        let expiry = reading().expiry(MS(200), 1_000);
        let worth = reading().worth(MS(200), expiry, &read_after(NOW + 98, 202));
        assert_eq!(worth, Worth::Held(MS(expiry - NOW - 98)));
    }

    #[test]
    fn a_command_that_was_late_is_worth_less() {
        let expiry = reading().expiry(MS(200), 1_000);
        let worth = reading().worth(MS(200), expiry, &read_after(NOW + 1_000, 1_110));
        assert_eq!(worth, Worth::Held(MS(expiry - NOW - 1_000)));
        let worth = reading().worth(MS(200), expiry, &read_after(expiry, 1_210));
        assert_eq!(worth, Worth::RanOut);
        let worth = reading().worth(MS(200), expiry, &read_after(expiry + 5_000, 6_210));
        assert_eq!(worth, Worth::RanOut);
    }

    #[test]
    fn a_clock_that_was_set_is_found_out() {
        let expiry = reading().expiry(MS(200), 1_000);
        for server in [NOW + 98 + 3_600_000, NOW + 98 - 3_600_000, NOW + 150, NOW + 90] {
            let worth = reading().worth(MS(200), expiry, &read_after(server, 202));
            assert_eq!(worth, Worth::ClockWasSet, "{server}");
        }
    }

    #[test]
    fn a_reply_is_two_numbers() {
        let texts =
            |texts: &[&str]| Reply::Texts(texts.iter().map(|text| (*text).into()).collect());
        let read = |reply: &Reply| super::read(reply);
        assert_eq!(read(&texts(&["1700000000", "123456"])), Ok(1_700_000_000_123_456));
        for reply in [
            texts(&["1", "1000000"]),
            texts(&["4294967296", "0"]),
            texts(&["-1", "0"]),
            texts(&["1"]),
            texts(&["1", "2", "3"]),
            Reply::Okay,
        ] {
            assert_eq!(read(&reply), Err(Nonsense), "{reply:?}");
        }
    }
}

//! The server's clock, as far as a client knows it.
//!
//! A lock expires at a time of the server's clock, so that a command which the server runs late cannot
//! prolong it. The client reads that clock with each batch that takes a lock, because it can be set at any
//! moment. Local times are given as time since any fixed moment, by a clock that never goes back.

use core::time::Duration;

use crate::reply::{Nonsense, Reply};

/// How long a [`Reading`] may be used, in microseconds. In this time the two clocks drift apart by 1 part in [`DRIFT`].
const LONGEST_USE: u64 = 10_000_000;

/// How old a [`Reading`] may be to be kept in place of a newer one, in microseconds. It is less than
/// [`LONGEST_USE`], so that a connection in use never has to ask for the clock alone.
const LONGEST_KEPT: u64 = 5_000_000;

/// The words that ask for the server's clock.
pub const ASK: [&str; 1] = ["TIME"];

/// How far two clocks drift apart: 1 part in this many. Linux slews a clock by half of it (500 parts in a million). A
/// clock that is corrected faster, as chrony may do, counts as a clock that was set.
const DRIFT: u64 = 1_000;

/// How long a lock surely lasts by the local clock if it lasts for `left` by the server's clock. Both clocks drift
/// apart.
pub fn surely(left: Duration) -> Duration {
    left - left / DRIFT as u32
}

/// The server's clock at one moment between two local times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reading {
    server: u64,
    asked: u64,
    answered: u64,
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

    /// The reading to use once `newer` is known. Keeps this one as long as it gives the clock more closely, unless it
    /// is soon too old, or the clock was set since.
    ///
    /// The faster the reply, the more exact the reading. A reading whose reply was slow would make the next locks
    /// last longer than necessary.
    #[must_use]
    pub fn or_newer(self, newer: Self) -> Self {
        let now = newer.answered;
        let width = |reading: &Self| {
            reading.latest_in_microseconds(now) - reading.earliest_in_microseconds(now)
        };
        let kept = now.saturating_sub(self.asked) <= LONGEST_KEPT
            && self.can_precede(&newer, Duration::from_micros(newer.asked))
            && width(&self) < width(&newer);
        if kept { self } else { newer }
    }

    /// Whether `after` can be read after this reading, at or after the local time `since`, if the clock was not set.
    pub(crate) fn can_precede(&self, after: &Self, since: Duration) -> bool {
        (self.earliest(since)..=self.latest_in_microseconds(after.answered)).contains(&after.server)
    }

    /// The latest time that the clock can show at the local time `now`, in microseconds since 1970.
    pub(crate) fn latest(&self, now: Duration) -> u64 {
        self.latest_in_microseconds(microseconds(now))
    }

    /// The earliest time that the clock can show at the local time `now`, in microseconds since 1970.
    pub(crate) fn earliest(&self, now: Duration) -> u64 {
        self.earliest_in_microseconds(microseconds(now))
    }

    /// The time that was read, in microseconds since 1970. The clock has passed it.
    pub(crate) fn server(&self) -> u64 {
        self.server
    }

    fn earliest_in_microseconds(&self, now: u64) -> u64 {
        let since = now.saturating_sub(self.answered);
        self.server + (since - since / DRIFT)
    }

    fn latest_in_microseconds(&self, now: u64) -> u64 {
        let since = now.saturating_sub(self.asked);
        self.server + since + since / DRIFT
    }
}

/// A local time in microseconds, at most a few centuries.
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

/// Whether this reply to [`ASK`] comes from Envoy, which answers in place of its server. Envoy reports all microseconds
/// since 1970 where a server reports the microseconds of the second.
pub fn is_of_a_proxy(reply: &Reply) -> bool {
    let Reply::Texts(texts) = reply else { return false };
    let [seconds, all] = texts.as_slice() else { return false };
    // Compared as texts: numbers of 64 bits would take more of the component.
    let rest = all.strip_prefix(seconds.as_str()).filter(|rest| rest.len() == 6);
    let is_number = |text: &str| text.parse::<u32>().is_ok();
    is_number(seconds) && rest.is_some_and(is_number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reading_is_old_after_ten_seconds() {
        let reading = Reading::new(0, Duration::from_millis(100), Duration::from_millis(104));
        assert!(!reading.is_old(Duration::from_millis(10_100)));
        assert!(reading.is_old(Duration::from_millis(10_101)));
    }

    /// Which of two readings is used. The first took 2 ms. The second began `after` ms later, took `slow` ms, and the
    /// clock showed `shown` ms too much.
    fn used(after: u64, slow: u64, shown: i64) -> u64 {
        const MS: fn(u64) -> Duration = Duration::from_millis;
        let second = 1_700_000_000_000_000;
        let first = Reading::new(second, MS(100), MS(102));
        let server = (second + after * 1_000).saturating_add_signed(shown * 1_000);
        let newer = Reading::new(server, MS(100 + after), MS(100 + after + slow));
        if first.or_newer(newer) == first { 1 } else { 2 }
    }

    #[test]
    fn the_closer_of_two_readings_is_used() {
        assert_eq!(used(1_000, 1, 0), 2);
        assert_eq!(used(1_000, 200, 100), 1);
        // After four seconds, the first is close to 2 ms and the drift of 8 ms.
        assert_eq!(used(4_000, 12, 0), 1);
        assert_eq!(used(4_000, 9, 0), 2);
    }

    #[test]
    fn a_newer_reading_replaces_one_that_is_five_seconds_old() {
        assert_eq!(used(4_799, 200, 0), 1);
        assert_eq!(used(4_801, 200, 0), 2);
    }

    #[test]
    fn a_reading_from_before_the_clock_was_set_is_not_used() {
        for shown in [-3_600_000, -10, 210, 3_600_000] {
            assert_eq!(used(1_000, 200, shown), 2, "{shown}");
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

    #[test]
    fn the_reply_of_a_proxy_is_known() {
        let reply =
            |seconds: &str, all: &str| Reply::Texts(alloc::vec![seconds.into(), all.into()]);
        let envoy = reply("1700000000", "1700000000123456");
        assert!(is_of_a_proxy(&envoy) && read(&envoy).is_err());
        for other in [
            reply("1700000000", "123456"),
            reply("1700000000", "1700000001123456"),
            reply("1700000000", "x"),
            reply("-1", "-1000000"),
        ] {
            assert!(!is_of_a_proxy(&other), "{other:?}");
        }
    }
}

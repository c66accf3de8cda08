//! The term of a lock that expires by the server's clock, and whether a grant of it counts.

use core::time::Duration;

use holdfast_timing::milliseconds;

use crate::clock::Reading;

/// The time for which an acquire asks for a lock.
#[derive(Clone, Copy, Debug)]
pub struct Term {
    reading: Reading,
    sent: Duration,
    ttl: Duration,
    expiry: u64,
}

/// Whether a grant counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GrantState {
    /// The lock is held.
    Held {
        /// How long the owner may count on the lock, from the sending of the acquire: the time to live at most.
        left: Duration,
        /// How long the lock can last on the server, from now.
        lasts: Duration,
    },
    /// The lock had ended before the server's clock was read, if it ever began.
    RanOut,
    /// The server's clock was set, so the lock ends too early or too late.
    ClockWasSet {
        /// How long the lock can last on the server, from now.
        lasts: Duration,
    },
}

impl Term {
    /// The term of an acquire that is sent at the local time `sent`, by this reading of the server's clock.
    pub fn new(reading: Reading, sent: Duration, ttl: Duration) -> Self {
        let expiry = reading.latest(sent).div_ceil(1_000).saturating_add(milliseconds(ttl));
        Self { reading, sent, ttl, expiry }
    }

    /// When the lock expires, in milliseconds since 1970 by the server's clock. It never expires before the time to
    /// live has passed since the sending.
    pub fn expiry(&self) -> u64 {
        self.expiry
    }

    /// Lets the lock expire a millisecond later.
    pub fn expire_later(&mut self) {
        self.expiry = self.expiry.saturating_add(1);
    }

    /// How long the lock can last on the server, from the local time `now`.
    pub fn lasts(&self, now: Duration) -> Duration {
        lasts(&self.reading, self.expiry, now)
    }

    /// Whether a grant counts at the local time `now`. `after` is a reading from after the server's grant.
    pub fn check_grant(&self, after: &Reading, now: Duration) -> GrantState {
        if !self.reading.can_precede(after, self.sent) {
            return GrantState::ClockWasSet { lasts: lasts(after, self.expiry, now) };
        }
        match self.expiry.saturating_mul(1_000).saturating_sub(after.server()) {
            0 => GrantState::RanOut,
            // The reading is later than the sending, so the lock ends at least this long after it.
            left => GrantState::Held {
                left: Duration::from_micros(left).min(self.ttl),
                lasts: self.lasts(now).min(lasts(after, self.expiry, now)),
            },
        }
    }
}

fn lasts(reading: &Reading, expiry: u64, now: Duration) -> Duration {
    Duration::from_micros(expiry.saturating_mul(1_000).saturating_sub(reading.earliest(now)))
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

    /// The term of one second, which is asked for at 200 ms.
    fn second() -> Term {
        Term::new(reading(), MS(200), MS(1_000))
    }

    #[test]
    fn a_lock_lasts_its_time_to_live_from_the_sending() {
        let term = Term::new(reading(), MS(104), MS(1_000));
        assert_eq!(term.expiry(), NOW + 1_005);
        // By then the server's clock is between 0 and 4 ms behind the assumed one.
        assert_eq!(term.lasts(MS(104)), MS(1_005));
        // A second later, both clocks may have drifted by 1 ms.
        let term = Term::new(reading(), MS(1_100), MS(1_000));
        assert_eq!(term.expiry(), NOW + 2_001);
        assert_eq!(term.lasts(MS(1_104)), MS(1_002));
        assert_eq!(term.lasts(MS(9_000_000)), Duration::ZERO);
    }

    #[test]
    fn no_time_to_live_is_too_long() {
        let term = Term::new(reading(), MS(104), Duration::MAX);
        assert_eq!(term.expiry(), u64::MAX);
        assert!(matches!(
            term.check_grant(&read_after(NOW + 6, 110), MS(110)),
            GrantState::Held { .. }
        ));
    }

    #[test]
    fn a_prompt_grant_is_worth_its_time_to_live() {
        let state = second().check_grant(&read_after(NOW + 98, 202), MS(202));
        let GrantState::Held { left, lasts } = state else { panic!("{state:?}") };
        assert_eq!(left, MS(1_000));
        // The later reading is the closer bound: the clock showed at least NOW + 98.
        assert_eq!(lasts, MS(second().expiry() - NOW - 98));
    }

    #[test]
    fn a_command_that_was_late_is_worth_less() {
        let expiry = second().expiry();
        let state = second().check_grant(&read_after(NOW + 1_000, 1_110), MS(1_110));
        let GrantState::Held { left, lasts } = state else { panic!("{state:?}") };
        assert_eq!(left, MS(expiry - NOW - 1_000));
        // By the first reading, the clock showed at least 1,006 ms less 1 part in 1,000 more than NOW.
        assert_eq!(lasts, Duration::from_micros((expiry - NOW) * 1_000 - 1_004_994));
        let state = second().check_grant(&read_after(expiry, 1_210), MS(1_210));
        assert_eq!(state, GrantState::RanOut);
        let state = second().check_grant(&read_after(expiry + 5_000, 6_210), MS(6_210));
        assert_eq!(state, GrantState::RanOut);
    }

    #[test]
    fn a_clock_that_was_set_is_found_out() {
        for server in [NOW + 98 + 3_600_000, NOW + 98 - 3_600_000, NOW + 150, NOW + 90] {
            let state = second().check_grant(&read_after(server, 202), MS(202));
            let left = (second().expiry() + 1).saturating_sub(server);
            let GrantState::ClockWasSet { lasts } = state else { panic!("{server}: {state:?}") };
            assert!(
                lasts <= MS(left) && lasts >= MS(left.saturating_sub(2)),
                "{server}: {lasts:?}"
            );
        }
    }
}

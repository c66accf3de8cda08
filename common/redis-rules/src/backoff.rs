//! How long to wait before the next try.

use core::time::Duration;

/// Waits that double from `min` to `max`, randomized so that many callers do not return together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    /// The shortest wait.
    pub min: Duration,
    /// The longest wait, even if `min` is longer.
    pub max: Duration,
}

impl Backoff {
    /// The wait after `failures` failures in a row, at least one. `random` is any number.
    pub fn after(&self, failures: u32, random: u64) -> Duration {
        let doublings = failures.saturating_sub(1).min(31);
        let widest = self.min.saturating_mul(1 << doublings).min(self.max);
        let least = self.min.min(self.max);
        let range = u64::try_from((widest - least).as_nanos()).unwrap_or(u64::MAX - 1);
        least + Duration::from_nanos(random % (range + 1))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn stays_between_its_bounds(failures in 0..100_u32, random: u64) {
            let backoff = Backoff { min: Duration::from_millis(8), max: Duration::from_millis(512) };
            let wait = backoff.after(failures, random);
            prop_assert!(wait >= backoff.min && wait <= backoff.max, "{:?}", wait);
        }

        #[test]
        fn the_longest_interval_wins_over_the_shortest(failures in 0..100_u32, random: u64) {
            let backoff = Backoff { min: Duration::from_secs(2), max: Duration::from_millis(512) };
            prop_assert_eq!(backoff.after(failures, random), backoff.max);
        }

        #[test]
        fn the_longest_settings_do_not_overflow(failures: u32, random: u64) {
            let backoff = Backoff { min: Duration::ZERO, max: Duration::MAX };
            prop_assert_eq!(backoff.after(failures, random), Duration::ZERO);
            let backoff = Backoff { min: Duration::from_secs(1), max: Duration::MAX };
            prop_assert!(backoff.after(failures, random) >= backoff.min);
        }
    }
}

//! How long to wait before the next try.

use std::time::Duration;

/// Waits that double from `min` to `max`, drawn at random so that many callers do not return
/// together.
#[derive(Clone, Copy, Debug)]
pub(super) struct Backoff {
    pub(super) min: Duration,
    pub(super) max: Duration,
}

impl Backoff {
    /// The wait after `failures` failures in a row, of which there is at least one. Never longer
    /// than `max`, also where `min` is.
    pub(super) fn after(&self, failures: u32) -> Duration {
        let doublings = failures.saturating_sub(1).min(31);
        let widest = self.min.saturating_mul(1 << doublings).min(self.max);
        let least = self.min.min(self.max);
        least + (widest - least).mul_f64(fastrand::f64())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stays_between_its_bounds() {
        let backoff = Backoff { min: Duration::from_millis(8), max: Duration::from_millis(512) };
        for failures in 0..100 {
            let wait = backoff.after(failures);
            assert!(wait >= backoff.min && wait <= backoff.max, "{wait:?}");
        }
    }

    #[test]
    fn the_longest_interval_wins_over_the_shortest() {
        let backoff = Backoff { min: Duration::from_secs(2), max: Duration::from_millis(512) };
        assert_eq!(backoff.after(1), backoff.max);
    }
}

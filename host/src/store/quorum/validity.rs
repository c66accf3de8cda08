//! For how long a majority surely holds a lock.

use std::time::Duration;

use tokio::time::Instant;

/// How far the clocks of a node and of this process may drift apart during `time`: one part in a hundred, and two
/// milliseconds for rounding.
pub(super) fn drift(time: Duration) -> Duration {
    (time / 100).saturating_add(Duration::from_millis(2))
}

/// `time` less the drift during it.
pub(super) fn less_drift(time: Duration) -> Duration {
    time.saturating_sub(drift(time))
}

/// Until when a majority of this size surely holds a lock. `ends` has the end of each node's hold; the result is the
/// `majority`-th latest of them, or `None` if there are fewer.
pub(super) fn majority_until(mut ends: Vec<Instant>, majority: usize) -> Option<Instant> {
    ends.sort_unstable_by(|a, b| b.cmp(a));
    ends.get(majority.checked_sub(1)?).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: fn(u64) -> Duration = Duration::from_millis;

    #[test]
    fn a_time_is_less_by_the_drift() {
        for (time, expected) in [(10_000, 9_898), (100, 97), (2, 0), (0, 0)] {
            assert_eq!(less_drift(MS(time)), MS(expected).saturating_sub(drift_below(time)));
        }
        assert!(less_drift(Duration::MAX) < Duration::MAX);
    }

    /// The part of a hundredth that is below a millisecond.
    fn drift_below(time: u64) -> Duration {
        MS(time) / 100 - MS(time / 100)
    }

    #[test]
    fn a_majority_holds_as_long_as_enough_nodes_do() {
        let now = Instant::now();
        let ends = |ends: &[u64]| ends.iter().map(|end| now + MS(*end)).collect::<Vec<_>>();
        assert_eq!(majority_until(ends(&[5]), 2), None);
        assert_eq!(majority_until(ends(&[5, 9]), 2), Some(now + MS(5)));
        assert_eq!(majority_until(ends(&[5, 9, 7]), 2), Some(now + MS(7)));
        assert_eq!(majority_until(ends(&[1, 2, 3, 4, 5]), 3), Some(now + MS(3)));
        assert_eq!(majority_until(Vec::new(), 0), None);
    }
}

//! How often an attempt is repeated because several callers each got a few nodes, and the pauses before.

use std::time::Duration;

use tokio::time::Instant;

/// The largest number of attempts.
const MAX_ATTEMPTS: u32 = 8;

/// The longest time for all attempts but the last, unless a quarter of the time to live is shorter.
const LONGEST_BUDGET: Duration = Duration::from_secs(2);

/// The shortest window from which the first pause is drawn.
const SHORTEST_WINDOW: Duration = Duration::from_millis(2);

/// The attempts of one acquire.
#[derive(Debug)]
pub(super) struct Splits {
    begun: Instant,
    budget: Duration,
    attempts: u32,
}

impl Splits {
    pub(super) fn new(ttl: Duration) -> Self {
        Self { begun: Instant::now(), budget: (ttl / 4).min(LONGEST_BUDGET), attempts: 0 }
    }

    /// The pause before the next attempt; `None` if no attempt follows. `took` is how long the nodes needed for the
    /// latest attempt. `random` is any number.
    ///
    /// Callers that collided wait for different times: the window is as long as two attempts, and doubles.
    pub(super) fn next(&mut self, took: Duration, random: u64) -> Option<Duration> {
        self.attempts += 1;
        if self.attempts == MAX_ATTEMPTS {
            return None;
        }
        let window = took.saturating_mul(2).max(SHORTEST_WINDOW).min(LONGEST_BUDGET);
        let window = window.saturating_mul(1 << (self.attempts - 1));
        let pause = window.mul_f64((random % 1_024) as f64 / 1_024.0);
        (self.begun.elapsed().saturating_add(pause) < self.budget).then_some(pause)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn pauses_are_drawn_from_windows_that_double() {
        let mut splits = Splits::new(Duration::from_secs(60));
        let longest = |splits: &mut Splits| {
            let pause = splits.next(Duration::from_millis(8), 1_023)?;
            Some(pause.as_millis())
        };
        let windows: Vec<_> = std::iter::from_fn(|| longest(&mut splits)).collect();
        assert_eq!(windows, [15, 31, 63, 127, 255, 511, 1_023]);
        let mut splits = Splits::new(Duration::from_secs(60));
        assert_eq!(splits.next(Duration::from_millis(8), 1_024), Some(Duration::ZERO));
    }

    #[tokio::test(start_paused = true)]
    async fn they_end_after_a_part_of_the_time_to_live() {
        let mut splits = Splits::new(Duration::from_millis(100));
        assert!(splits.next(Duration::ZERO, 1_023).is_some());
        tokio::time::advance(Duration::from_millis(25)).await;
        assert_eq!(splits.next(Duration::ZERO, 0), None);
        let mut splits = Splits::new(Duration::from_secs(3_600));
        tokio::time::advance(LONGEST_BUDGET).await;
        assert_eq!(splits.next(Duration::ZERO, 0), None);
    }
}

//! How often a call is retried, and how long to wait before each retry.
//!
//! The waits are those of daprd 1.18 (`dapr/kit/retry`, over `cenkalti/backoff`).

use std::{fmt, time::Duration};

use tokio::time::Instant;

/// The first exponential wait.
const FIRST_WAIT: Duration = Duration::from_millis(500);

/// The ratio of each exponential wait to the one before.
const MULTIPLIER: f64 = 1.5;

/// How far a random wait may be from its base, as a fraction of the base.
const SPREAD: f64 = 0.5;

/// The shortest wait, so that endless retries do not keep a processor busy.
const SHORTEST_WAIT: Duration = Duration::from_millis(1);

/// Retries of calls that failed without doing anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retry {
    /// How long to wait before each retry.
    pub backoff: Backoff,
    /// The largest number of retries; `None` for no limit.
    pub max_retries: Option<u32>,
}

/// How the waits before retries grow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Backoff {
    /// All waits are the same, at least a millisecond.
    Constant(Duration),
    /// The base of the waits starts at 500 ms and grows by half each time. Each wait is random, between
    /// half and one and a half times its base.
    Exponential {
        /// The longest base of a wait.
        max_interval: Duration,
        /// The time after which there is no retry; `None` for no limit.
        max_elapsed: Option<Duration>,
    },
}

impl Backoff {
    /// Exponential waits as in a resiliency file: no retry after 15 minutes.
    pub fn exponential(max_interval: Duration) -> Self {
        Self::Exponential { max_interval, max_elapsed: Some(Duration::from_secs(15 * 60)) }
    }
}

impl Default for Retry {
    /// Dapr's default: every 5 seconds, without end.
    fn default() -> Self {
        Self { backoff: Backoff::Constant(Duration::from_secs(5)), max_retries: None }
    }
}

impl fmt::Display for Retry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.backoff {
            Backoff::Constant(wait) => write!(f, "every {wait:?}")?,
            Backoff::Exponential { max_interval, .. } => {
                write!(f, "exponential up to {max_interval:?}")?;
            }
        }
        match self.max_retries {
            Some(retries) => write!(f, ", {retries} times"),
            None => f.write_str(", without limit"),
        }
    }
}

/// The remaining waits of one call.
pub(super) struct RetryWaits {
    retry: Retry,
    begun: Instant,
    tries: u32,
    /// The base of the next exponential wait.
    next: Duration,
}

impl Retry {
    pub(super) fn waits(self) -> RetryWaits {
        RetryWaits { retry: self, begun: Instant::now(), tries: 0, next: FIRST_WAIT }
    }
}

impl Iterator for RetryWaits {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        if self.retry.max_retries.is_some_and(|most| self.tries >= most) {
            return None;
        }
        self.tries = self.tries.saturating_add(1);
        let wait = match self.retry.backoff {
            Backoff::Constant(wait) => wait,
            Backoff::Exponential { max_interval, max_elapsed } => {
                let wait = times(self.next, 1.0 - SPREAD + 2.0 * SPREAD * fastrand::f64());
                self.next = times(self.next, MULTIPLIER).min(max_interval);
                if max_elapsed.is_some_and(|most| self.begun.elapsed().saturating_add(wait) > most)
                {
                    return None;
                }
                wait
            }
        };
        Some(wait.max(SHORTEST_WAIT))
    }
}

fn times(duration: Duration, factor: f64) -> Duration {
    Duration::try_from_secs_f64(duration.as_secs_f64() * factor).unwrap_or(Duration::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test]
    async fn constant_waits_are_as_many_as_asked_for() {
        let retry = |wait, max_retries| Retry { backoff: Backoff::Constant(wait), max_retries };
        assert_eq!(retry(SECOND, Some(3)).waits().collect::<Vec<_>>(), [SECOND; 3]);
        assert_eq!(retry(SECOND, Some(0)).waits().next(), None);
        assert_eq!(retry(SECOND, None).waits().take(1000).count(), 1000);
        assert_eq!(retry(Duration::ZERO, None).waits().next(), Some(SHORTEST_WAIT));
        assert_eq!(retry(Duration::MAX, None).waits().next(), Some(Duration::MAX));
    }

    #[tokio::test(start_paused = true)]
    async fn exponential_waits_grow_to_their_maximum_and_end() {
        let retry = Retry { backoff: Backoff::exponential(10 * SECOND), max_retries: None };
        let (mut waits, mut around) = (retry.waits(), FIRST_WAIT);
        for number in 0..20 {
            let wait = waits.next().unwrap();
            assert!(
                wait >= around.mul_f64(0.5) && wait <= around.mul_f64(1.5),
                "{number}: {wait:?}"
            );
            around = around.mul_f64(1.5).min(10 * SECOND);
        }
        tokio::time::advance(15 * 60 * SECOND).await;
        assert_eq!(waits.next(), None);
    }

    #[tokio::test]
    async fn a_huge_maximum_is_no_overflow() {
        let retry = Retry {
            backoff: Backoff::Exponential { max_interval: Duration::MAX, max_elapsed: None },
            max_retries: None,
        };
        assert_eq!(retry.waits().take(100).count(), 100);
    }
}

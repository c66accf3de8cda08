//! How long to wait before each further try, and how many there are.
//!
//! The waits are daprd 1.18's (`dapr/kit/retry`, over `cenkalti/backoff`).

use std::{fmt, time::Duration};

use tokio::time::Instant;

/// The first exponential wait.
const INITIAL: Duration = Duration::from_millis(500);

/// What each exponential wait is longer than the one before.
const MULTIPLIER: f64 = 1.5;

/// How far a drawn wait may be from the one that it is drawn around, as a part of it.
const SPREAD: f64 = 0.5;

/// A wait is never shorter: tries without end must not take a processor for themselves.
const SHORTEST: Duration = Duration::from_millis(1);

/// More tries where a call failed without having done anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retry {
    /// How long the waits before them are.
    pub backoff: Backoff,
    /// How many there are after the first try; `None` for as many as it takes.
    pub max_retries: Option<u32>,
}

/// How the waits before more tries grow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backoff {
    /// All are the same, at least a millisecond.
    Constant(Duration),
    /// They grow from 500 ms by a half each, and are drawn at random from half to one and a half
    /// times that.
    Exponential {
        /// What they grow to, before they are drawn.
        max_interval: Duration,
        /// There is no try after so long; `None` for no such end.
        max_elapsed: Option<Duration>,
    },
}

impl Backoff {
    /// Exponential as a resiliency file says it: no try after 15 minutes.
    pub fn exponential(max_interval: Duration) -> Self {
        Self::Exponential { max_interval, max_elapsed: Some(Duration::from_secs(15 * 60)) }
    }
}

impl Default for Retry {
    /// Dapr's default: every 5 seconds, for ever.
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
            None => f.write_str(", for ever"),
        }
    }
}

/// The waits of one call, from now on.
pub(super) struct Waits {
    retry: Retry,
    begun: Instant,
    tries: u32,
    /// The next exponential wait, before it is drawn.
    next: Duration,
}

impl Retry {
    pub(super) fn waits(self) -> Waits {
        Waits { retry: self, begun: Instant::now(), tries: 0, next: INITIAL }
    }
}

impl Iterator for Waits {
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
        Some(wait.max(SHORTEST))
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
        assert_eq!(retry(Duration::ZERO, None).waits().next(), Some(SHORTEST));
        assert_eq!(retry(Duration::MAX, None).waits().next(), Some(Duration::MAX));
    }

    #[tokio::test(start_paused = true)]
    async fn exponential_waits_grow_to_their_maximum_and_end() {
        let retry = Retry { backoff: Backoff::exponential(10 * SECOND), max_retries: None };
        let (mut waits, mut around) = (retry.waits(), INITIAL);
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

//! Limits how often the host acts on a store's notifications.

use std::time::Duration;

use holdfast_timing::pauses::Pauses;
use tokio::time::{Instant, sleep};

/// After this time without a notification, the host again acts on the next one at once.
const QUIET: Duration = Duration::from_secs(1);

/// Slows down after repeated notifications that change nothing.
#[derive(Debug, Default)]
pub(super) struct Pace {
    pauses: Pauses,
    last: Option<Instant>,
}

impl Pace {
    /// Pauses if the latest call was a short time ago: longer each time, up to a quarter of a second.
    pub(super) async fn rest(&mut self) {
        match self.last {
            Some(last) if last.elapsed() < QUIET => {
                sleep(self.pauses.next(fastrand::u64(..))).await
            }
            _ => self.pauses = Pauses::default(),
        }
        self.last = Some(Instant::now());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn frequent_notifications_are_slowed_down_and_rare_ones_are_not() {
        let (mut pace, begun) = (Pace::default(), Instant::now());
        pace.rest().await;
        assert_eq!(begun.elapsed(), Duration::ZERO);
        for _ in 0..100 {
            pace.rest().await;
        }
        assert!(begun.elapsed() > Duration::from_secs(10), "{:?}", begun.elapsed());
        sleep(QUIET).await;
        let later = Instant::now();
        pace.rest().await;
        assert_eq!(later.elapsed(), Duration::ZERO);
    }
}

//! When a kept lock is renewed, and when it counts as lost. The rules are the same for a lock in a store and for a lock
//! that a server holds.

use std::time::Duration;

use holdfast_timing::after;
use tokio::time::{Instant, sleep_until, timeout_at};

/// Why a lease is no longer held.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Lost {
    /// The lock is free: it expired, or another program removed it.
    #[error("the lock is gone")]
    Gone,
    /// Another owner holds the lock.
    #[error("another owner holds the lock")]
    HeldByOther,
    /// The lock could not be renewed in time, for this reason.
    #[error("the lock could not be renewed in time: {0}")]
    NotRenewed(String),
    /// The lock was held for the longest time allowed. It is no longer renewed, and stays held for the rest of its time
    /// to live.
    #[error("the lock was held for the longest time allowed")]
    MaxHold,
}

/// The outcome of one try to renew a lock.
#[derive(Debug)]
pub enum Renewal {
    /// The lock is surely held for this long, counted from the beginning of the try.
    Held(Duration),
    /// The lock is not held.
    Lost(Lost),
    /// The outcome is unknown, for this reason.
    Unknown(String),
}

/// A lock that can be renewed, in a store or by a server.
pub trait Renewable: Send {
    /// Ends when the lock, which is valid until `valid_until`, may be lost. The caller drops the future when a renewal
    /// is due.
    fn wait_for_doubt(&mut self, valid_until: Instant) -> impl Future<Output = ()> + Send;

    /// Tries once to renew the lock.
    fn extend(&mut self) -> impl Future<Output = Renewal> + Send;
}

/// The times at which a lock is renewed.
#[derive(Clone, Copy, Debug)]
pub struct Schedule {
    /// The time to live that each renewal gives the lock.
    pub ttl: Duration,
    /// The shortest time between two renewals, however slow they are.
    pub between: Duration,
}

impl Schedule {
    /// Renews the lock until it is lost. Each renewal calls `renewed` with the new end of the validity.
    pub async fn keep(
        &self,
        mut valid_until: Instant,
        lock: &mut impl Renewable,
        renewed: impl Fn(Instant),
    ) -> Lost {
        loop {
            tokio::select! {
                () = sleep_until(self.renewal(valid_until)) => {}
                // The renewal finds out what happened to the lock.
                () = lock.wait_for_doubt(valid_until) => {}
            }
            match self.prolong(valid_until, lock).await {
                Ok(until) => valid_until = until,
                Err(lost) => return lost,
            }
            renewed(valid_until);
        }
    }

    /// Renews the lock, and tries again until it is too late. Returns the new end of the validity.
    ///
    /// # Errors
    ///
    /// The cause of the loss.
    pub async fn prolong(
        &self,
        valid_until: Instant,
        lock: &mut impl Renewable,
    ) -> Result<Instant, Lost> {
        let mut problem = "no answer".to_owned();
        loop {
            let begun = Instant::now();
            match timeout_at(valid_until, lock.extend()).await {
                Ok(Renewal::Held(time)) => return Ok(after(begun, time, Instant::checked_add)),
                Ok(Renewal::Lost(lost)) => return Err(lost),
                Ok(Renewal::Unknown(why)) => problem = why,
                Err(_too_late) => return Err(Lost::NotRenewed(problem)),
            }
            let next = Instant::now() + (self.ttl / 10).max(Duration::from_millis(1));
            sleep_until(next.min(valid_until)).await;
            if next >= valid_until {
                return Err(Lost::NotRenewed(problem));
            }
        }
    }

    /// The time of the next renewal: when two thirds of the time to live are left, or at once if less is left.
    fn renewal(&self, valid_until: Instant) -> Instant {
        let now = Instant::now();
        let left = valid_until.saturating_duration_since(now);
        let due = valid_until - (self.ttl - self.ttl / 3).min(left);
        due.max(now + self.between)
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use super::*;

    /// A lock at a server that gives no answer, and the seconds at which a renewal was tried.
    struct Unanswered {
        begun: Instant,
        tries: Vec<u64>,
    }

    impl Renewable for Unanswered {
        async fn wait_for_doubt(&mut self, _valid_until: Instant) {
            pending().await
        }

        async fn extend(&mut self) -> Renewal {
            self.tries.push(self.begun.elapsed().as_secs());
            Renewal::Unknown("the server is down".to_owned())
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_unknown_is_tried_again_until_it_is_too_late() {
        let ttl = Duration::from_secs(30);
        let schedule = Schedule { ttl, between: Duration::from_secs(1) };
        let begun = Instant::now();
        let mut lock = Unanswered { begun, tries: Vec::new() };
        let lost = schedule.keep(begun + ttl, &mut lock, |_| panic!("it was not renewed")).await;
        assert_eq!(lost, Lost::NotRenewed("the server is down".to_owned()));
        assert_eq!(lock.tries, [10, 13, 16, 19, 22, 25, 28]);
        assert_eq!(begun.elapsed().as_secs(), 30);
    }
}

//! The release of a lock: one call, or more if that fails.

use alloc::{string::String, sync::Arc};

use crate::line::Key;

/// The pause before the second try, in milliseconds. Each later pause is twice as long, up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: u64 = 100;

/// The longest pause between two tries, in milliseconds.
const LONGEST_PAUSE: u64 = 5_000;

/// The release of a lock.
#[derive(Debug)]
pub struct Release {
    /// The lock.
    pub key: Arc<Key>,
    /// The owner that holds the lock.
    pub owner: String,
    /// The time at which the lock has expired in any case.
    until: u64,
    /// The pause after the latest failed try, in milliseconds; 0 before a try has failed.
    pause: u64,
}

impl Release {
    /// The release of a lock that lasts until this time at most.
    pub fn new(key: Arc<Key>, owner: String, until: u64) -> Self {
        Self { key, owner, until, pause: 0 }
    }

    /// Whether no try has failed yet.
    pub fn is_first(&self) -> bool {
        self.pause == 0
    }

    /// When to try again after a try that failed now; `None` if the lock has expired by then.
    pub fn again(&mut self, now: u64) -> Option<u64> {
        self.pause = (self.pause * 2).clamp(FIRST_PAUSE, LONGEST_PAUSE);
        Some(now.saturating_add(self.pause)).filter(|next| *next < self.until)
    }
}

/// Whether another try may succeed after a try with this status, or without an answer.
pub fn may_pass(status: Option<u16>) -> bool {
    status.is_none_or(|status| status >= 500 || matches!(status, 408 | 429))
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;
    use core::iter;

    use super::*;

    #[test]
    fn pauses_grow_until_the_lock_has_expired() {
        let key = Arc::new(Key { store: "s".into(), resource: "r".into() });
        let mut release = Release::new(key, "o".into(), 20_000);
        assert!(release.is_first());
        let mut now = 0;
        let tries = iter::from_fn(|| {
            now = release.again(now)?;
            Some(now)
        });
        let tries: Vec<_> = tries.collect();
        assert_eq!(tries, [100, 300, 700, 1_500, 3_100, 6_300, 11_300, 16_300]);
        assert!(!release.is_first());
    }

    #[test]
    fn only_what_may_be_otherwise_soon_is_tried_again() {
        for status in [None, Some(500), Some(503), Some(504), Some(429), Some(408)] {
            assert!(may_pass(status), "{status:?}");
        }
        for status in [400, 401, 403, 404, 413, 302] {
            assert!(!may_pass(Some(status)), "{status}");
        }
    }
}

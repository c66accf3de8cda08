//! How long to wait between two tries to take a lock that is held, if nobody reports that it is free.

use core::time::Duration;

const SHORTEST_PAUSE: Duration = Duration::from_millis(16);
const LONGEST_PAUSE: Duration = Duration::from_millis(256);

/// The pauses of one wait. Each is about twice as long as the one before, up to a quarter of a second.
#[derive(Clone, Copy, Debug)]
pub struct Pauses {
    next: Duration,
}

impl Default for Pauses {
    fn default() -> Self {
        Self { next: SHORTEST_PAUSE }
    }
}

impl Pauses {
    /// The next pause. `random` is any number; it spreads the waiters for the same lock, so that they do not
    /// try all at once.
    pub fn next(&mut self, random: u64) -> Duration {
        let half = self.next / 2;
        self.next = (self.next * 2).min(LONGEST_PAUSE);
        half + half * ((random % 1_024) as u32) / 1_024
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_up_to_a_quarter_of_a_second() {
        let mut pauses = Pauses::default();
        let shortest: [_; 6] = core::array::from_fn(|_| pauses.next(0).as_millis());
        assert_eq!(shortest, [8, 16, 32, 64, 128, 128]);
        for random in [0, 1_023, u64::MAX] {
            let pause = pauses.next(random);
            assert!((LONGEST_PAUSE / 2..=LONGEST_PAUSE).contains(&pause), "{pause:?}");
        }
    }
}

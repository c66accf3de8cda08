//! Log lines at a limited rate, for events that callers can cause as often as they like.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// How long the lines are counted together.
const WINDOW: Duration = Duration::from_secs(10);

/// Lets some lines through in ten seconds, and counts the others.
#[derive(Debug)]
pub(crate) struct Throttle {
    lines: u32,
    window: Mutex<Window>,
}

#[derive(Debug, Default)]
struct Window {
    since: Option<Instant>,
    written: u32,
    left_out: u64,
}

impl Throttle {
    /// At most this many lines in ten seconds.
    pub(crate) fn new(lines: u32) -> Self {
        Self { lines, window: Mutex::default() }
    }

    /// The number of lines left out since the previous line, if a line may be written now.
    pub(crate) fn pass(&self) -> Option<u64> {
        self.pass_at(Instant::now())
    }

    fn pass_at(&self, now: Instant) -> Option<u64> {
        let mut window = self.window.lock().unwrap_or_else(PoisonError::into_inner);
        if window.since.is_none_or(|since| now.saturating_duration_since(since) >= WINDOW) {
            window.since = Some(now);
            window.written = 0;
        }
        if window.written == self.lines {
            window.left_out += 1;
            return None;
        }
        window.written += 1;
        Some(std::mem::take(&mut window.left_out))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_beyond_the_limit_are_counted() {
        let throttle = Throttle::new(2);
        let start = Instant::now();
        let passed: Vec<_> = (0..5).map(|_| throttle.pass_at(start)).collect();
        assert_eq!(passed, [Some(0), Some(0), None, None, None]);
        assert_eq!(throttle.pass_at(start + WINDOW), Some(3));
        assert_eq!(throttle.pass_at(start + WINDOW), Some(0));
        assert_eq!(throttle.pass_at(start + WINDOW), None);
    }
}

//! A server that takes no locks for a while, because it may have lost its earlier locks.

use std::time::{Duration, Instant};

use holdfast_redis_rules::rejoin::Started;

/// Why and until when a server takes no locks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Absence {
    started: Option<Instant>,
    /// The end; `None` for a time that the clock cannot hold.
    ends: Option<Instant>,
}

impl Absence {
    /// The absence of a server that has just reported when it started.
    pub(super) fn of(started: Started) -> Self {
        let now = Instant::now();
        Self {
            started: started.ago.and_then(|ago| now.checked_sub(ago)),
            ends: now.checked_add(started.left),
        }
    }

    /// Why the server takes no lock now; `None` if it takes locks.
    pub(super) fn refusal(self) -> Option<String> {
        let now = Instant::now();
        if self.ends.is_some_and(|ends| ends <= now) {
            return None;
        }
        let seconds = |time: Duration| time.as_millis().div_ceil(1_000);
        let restarted = self.started.map_or_else(
            || "the server does not report its uptime".to_owned(),
            |started| format!("the server restarted {} s ago", seconds(now - started)),
        );
        let back = self.ends.map_or_else(
            || "it never takes part again".to_owned(),
            |ends| format!("it takes part again in {} s", seconds(ends - now)),
        );
        Some(format!("{restarted} and may have lost locks: {back}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_refusal_says_since_when_and_until_when() {
        let second = Duration::from_secs(1);
        let started = |ago, left| Absence::of(Started { ago, left }).refusal();
        let refusal = started(Some(3 * second), 3_600 * second).unwrap();
        assert!(refusal.starts_with("the server restarted "), "{refusal}");
        assert!(
            refusal.contains(" s ago and may have lost locks: it takes part again in "),
            "{refusal}"
        );
        let refusal = started(None, 3_600 * second).unwrap();
        assert!(refusal.starts_with("the server does not report its uptime and"), "{refusal}");
        assert_eq!(started(Some(second), Duration::ZERO), None);
        let refusal = started(None, Duration::MAX).unwrap();
        assert!(refusal.ends_with("it never takes part again"), "{refusal}");
    }
}

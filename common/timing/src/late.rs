//! How long a command without a reply can still take effect.
//!
//! A command that was handed to the network cannot be taken back: a server that stalls has it in its
//! buffers, and runs it when it goes on.

use core::time::Duration;

/// The longest time to wait for a reply after the caller has left.
pub const LATE_REPLY: Duration = Duration::from_secs(30);

/// How long after the sending of an acquire to wait for its reply, in order to give back a late grant: the time to
/// live, 30 seconds at most.
pub fn late(ttl: Duration) -> Duration {
    ttl.min(LATE_REPLY)
}

/// How long from now the lock of an unanswered acquire, sent `since_sent` ago, may be held. This assumes that the
/// server runs the acquire at the last moment that [`late`] allows.
pub fn longest_hold(ttl: Duration, since_sent: Duration) -> Duration {
    late(ttl).saturating_sub(since_sent).saturating_add(ttl)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_late_acquire_lasts_its_whole_time_to_live() {
        let ms = Duration::from_millis;
        for (ttl, since_sent, expected) in [
            (ms(500), ms(0), ms(1_000)),
            (ms(500), ms(200), ms(800)),
            (ms(500), ms(501), ms(500)),
            (ms(60_000), ms(0), ms(90_000)),
            (Duration::MAX, ms(0), Duration::MAX),
        ] {
            assert_eq!(longest_hold(ttl, since_sent), expected, "{ttl:?} {since_sent:?}");
        }
    }
}

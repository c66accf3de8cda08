//! Whether a server may have lost its locks when it started, so that it must stay out until these locks would have
//! ended.
//!
//! That matters for a node of a quorum: a server that has forgotten a lock would grant it again, and so make a second
//! majority.

use core::time::Duration;

use crate::{fitness::field, reply::Reply};

/// A server that started a short while ago.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Started {
    /// How long ago the server started, by its own report; `None` if it does not report this.
    pub ago: Option<Duration>,
    /// How long the server must stay out from now on, if it has lost its locks.
    pub left: Duration,
}

/// How much a server may overstate its uptime: it counts each second of its clock that has begun.
const ROUNDING: Duration = Duration::from_secs(1);

/// Reads the reply to [`fitness::ASK`](crate::fitness::ASK); `None` if the server has run for longer than `longest`,
/// the longest time that a lock lasts. A server that does not report its uptime may have just started.
pub fn started(info: &Reply, longest: Duration) -> Option<Started> {
    let info = if let Reply::Text(info) = info { info } else { "" };
    let uptime = field(info, "uptime_in_seconds").and_then(|seconds| seconds.parse().ok());
    let ago = uptime.map(Duration::from_secs);
    let surely = ago.unwrap_or_default().saturating_sub(ROUNDING);
    let left = longest.saturating_sub(surely);
    (!left.is_zero()).then_some(Started { ago, left })
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn a_server_stays_out_until_the_locks_that_it_forgot_have_ended() {
        let started = |info: &str| started(&Reply::Text(info.into()), MINUTE);
        let info = "uptime_in_seconds:3\r\n";
        let ago = Some(Duration::from_secs(3));
        // The first of the three may have been short.
        let left = Duration::from_secs(58);
        assert_eq!(started(info), Some(Started { ago, left }));
        let second = Duration::from_secs(1);
        let info = "uptime_in_seconds:60\r\n";
        let ago = Some(MINUTE);
        assert_eq!(started(info), Some(Started { ago, left: second }));
        for info in ["uptime_in_seconds:61\r\n", "uptime_in_seconds:99999999\r\n"] {
            assert_eq!(started(info), None, "{info}");
        }
        let unknown = Some(Started { ago: None, left: MINUTE });
        for info in ["", "uptime_in_seconds:soon\r\n", "uptime_in_seconds:-1\r\n"] {
            assert_eq!(started(info), unknown, "{info}");
        }
        assert_eq!(super::started(&Reply::Error("NOPERM no".into()), MINUTE), unknown);
    }
}

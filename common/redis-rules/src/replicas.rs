//! Waits until replicas have the earlier writes, by `WAIT`, or have them on disk, by `WAITAOF`.

use alloc::{
    format,
    string::{String, ToString},
};
use core::time::Duration;

use holdfast_timing::milliseconds;

use crate::{
    reply::{Nonsense, Reply},
    resp::decimal,
};

/// The copies that a lock must have before it counts as taken, or as extended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Guard {
    /// How many replicas must have the lock, at least one.
    pub replicas: u32,
    /// Whether the replicas, and the server itself, must have the lock in their append-only files.
    pub on_disk: bool,
    /// How long the server waits for the replicas. Every later command on the connection waits as long.
    pub patience: Duration,
}

/// How long the server waits if a reply has no time limit.
const LONGEST_PATIENCE: Duration = Duration::from_secs(1);

impl Guard {
    /// A guard of this many replicas; `None` for 0 replicas. The server waits for a third of the limit on a reply,
    /// because a command may have to wait for the commands before it, and then for its own replicas.
    pub fn new(replicas: u32, on_disk: bool, reply: Option<Duration>) -> Option<Self> {
        let patience = reply.map_or(LONGEST_PATIENCE, |limit| limit / 3);
        // The server reads 0 as no limit.
        let patience = patience.max(Duration::from_millis(1));
        (replicas > 0).then_some(Self { replicas, on_disk, patience })
    }

    /// Passes the words of the command to `send`.
    pub fn words<T>(&self, send: impl FnOnce(&[&str]) -> T) -> T {
        let (mut count, mut limit) = ([0; 20], [0; 20]);
        let replicas = decimal(self.replicas.into(), &mut count);
        let patience = decimal(milliseconds(self.patience), &mut limit);
        match self.on_disk {
            true => send(&["WAITAOF", "1", replicas, patience]),
            false => send(&["WAIT", replicas, patience]),
        }
    }

    /// Reads the reply. The inner error is the reason why the earlier write does not count: too few replicas have it,
    /// or the server refused to wait.
    ///
    /// # Errors
    ///
    /// [`Nonsense`] for a reply that the command cannot have.
    pub fn read(&self, reply: &Reply) -> Result<Result<(), String>, Nonsense> {
        let have = match (reply, self.on_disk) {
            (Reply::Error(line), false) => return Ok(Err(format!("{line} (minReplicas)"))),
            (Reply::Error(line), true) => {
                return Ok(Err(format!(
                    "{line} (replicasOnDisk needs Redis 7.2 and appendonly yes)"
                )));
            }
            (Reply::Integer(have), false) => *have,
            (Reply::Integers(have), true) => match have[..] {
                [0, _] => return Ok(Err("the server does not have the lock on disk".to_string())),
                [_, have] => have,
                _ => return Err(Nonsense),
            },
            _ => return Err(Nonsense),
        };
        if have >= self.replicas.into() {
            return Ok(Ok(()));
        }
        let place = if self.on_disk { " on disk" } else { "" };
        let Self { replicas, .. } = self;
        Ok(Err(format!("only {have} of {replicas} replicas have the lock{place} (minReplicas)")))
    }
}

#[cfg(test)]
mod tests {
    use alloc::{vec, vec::Vec};

    use super::*;

    fn guard(on_disk: bool) -> Guard {
        Guard::new(2, on_disk, Some(Duration::from_secs(3))).unwrap()
    }

    fn words(guard: Guard) -> Vec<String> {
        guard.words(|words| words.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn the_server_waits_for_a_third_of_the_limit_on_a_reply() {
        assert_eq!(words(guard(false)), ["WAIT", "2", "1000"]);
        assert_eq!(words(guard(true)), ["WAITAOF", "1", "2", "1000"]);
        assert_eq!(words(Guard::new(1, false, None).unwrap()), ["WAIT", "1", "1000"]);
        let short = Guard::new(1, false, Some(Duration::from_micros(10))).unwrap();
        assert_eq!(words(short), ["WAIT", "1", "1"]);
        assert_eq!(Guard::new(0, true, None), None);
    }

    #[test]
    fn too_few_replicas_are_reported() {
        let few = |have| format!("only {have} of 2 replicas have the lock (minReplicas)");
        for (reply, expected) in [
            (Reply::Integer(2), Ok(Ok(()))),
            (Reply::Integer(3), Ok(Ok(()))),
            (Reply::Integer(1), Ok(Err(few(1)))),
            (Reply::Integer(0), Ok(Err(few(0)))),
            (Reply::Error("NOPERM x".into()), Ok(Err("NOPERM x (minReplicas)".into()))),
            (Reply::Okay, Err(Nonsense)),
            (Reply::Integers(vec![1, 2]), Err(Nonsense)),
        ] {
            assert_eq!(guard(false).read(&reply), expected, "{reply:?}");
        }
    }

    #[test]
    fn a_write_that_is_not_on_disk_is_reported() {
        let few = "only 1 of 2 replicas have the lock on disk (minReplicas)";
        for (reply, expected) in [
            (Reply::Integers(vec![1, 2]), Ok(Ok(()))),
            (Reply::Integers(vec![1, 1]), Ok(Err(few.into()))),
            (
                Reply::Integers(vec![0, 2]),
                Ok(Err("the server does not have the lock on disk".into())),
            ),
            (
                Reply::Error("ERR no".into()),
                Ok(Err("ERR no (replicasOnDisk needs Redis 7.2 and appendonly yes)".into())),
            ),
            (Reply::Integers(vec![2]), Err(Nonsense)),
            (Reply::Integer(2), Err(Nonsense)),
        ] {
            assert_eq!(guard(true).read(&reply), expected, "{reply:?}");
        }
    }
}

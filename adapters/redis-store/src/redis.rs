//! Acquire and release: which commands they are, when they are tried again, and what their outcome
//! means.

use alloc::{
    format,
    string::{String, ToString},
    vec::Vec,
};
use core::time::Duration;

use crate::{
    bindings::{Acquired, Failure, Grant, Released, UnknownOutcome},
    connection::{Broken, Connection},
    dial::{DialError, dial},
    protocol::{Reply, push},
    refusal::{Again, again},
    settings::Settings,
    time::{Deadline, pause, random, wall_clock, written},
};

/// The script that both this and the library's own Redis store release by.
pub(crate) const RELEASE_LUA: &str = include_str!("../../../host/src/store/redis/release.lua");

/// So long at most after its answer a command is reckoned with that was not answered.
const LATE: u64 = 30_000;

/// One server, and the connection to it if there is one.
pub(crate) struct Redis {
    settings: Settings,
    connection: Option<Connection>,
}

/// Whether a script is sent by its digest, which the server may not know, or as it is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Short,
    Full,
}

/// Why a command has no outcome.
enum NoOutcome {
    /// It did nothing.
    NotDone(String),
    /// It may have been carried out, or may still be.
    Unknown(String),
}

impl Redis {
    pub(crate) fn new(settings: Settings) -> Self {
        Self { settings, connection: None }
    }

    /// `SET key owner NX PX ttl`.
    pub(crate) fn acquire(
        &mut self,
        key: &str,
        owner: &str,
        ttl: u64,
    ) -> Result<Acquired, Failure> {
        let milliseconds = ttl.to_string();
        let set = |_: &Connection, _| {
            let words =
                [b"SET", key.as_bytes(), owner.as_bytes(), b"NX", b"PX", milliseconds.as_bytes()];
            command(&words)
        };
        let outcome = self.run(&set).and_then(|reply| match reply {
            Reply::Status(_) => Ok(Acquired::Granted(Grant { fencing_token: None })),
            Reply::Nil => Ok(Acquired::Held),
            _ => Err(self.nonsense()),
        });
        outcome.map_err(|error| self.failure(error, Some(held_until(wall_clock(), ttl))))
    }

    /// As `release.lua` says.
    pub(crate) fn release(&mut self, key: &str, owner: &str) -> Result<Released, Failure> {
        let eval = |connection: &Connection, form| match &connection.script {
            Some(digest) if form == Form::Short => {
                command(&[b"EVALSHA", digest.as_bytes(), b"1", key.as_bytes(), owner.as_bytes()])
            }
            _ => {
                command(&[b"EVAL", RELEASE_LUA.as_bytes(), b"1", key.as_bytes(), owner.as_bytes()])
            }
        };
        let outcome = self.run(&eval).and_then(|reply| match reply {
            Reply::Integer(1) => Ok(Released::Released),
            Reply::Integer(-1) => Ok(Released::Missing),
            Reply::Integer(-2) => Ok(Released::HeldByOther),
            _ => Err(self.nonsense()),
        });
        outcome.map_err(|error| self.failure(error, None))
    }

    /// Sends a command and waits for its reply. Sends it again only where it was certainly not carried
    /// out and this may pass.
    fn run(&mut self, command: &dyn Fn(&Connection, Form) -> Vec<u8>) -> Result<Reply, NoOutcome> {
        let (mut failures, mut form) = (0, Form::Short);
        loop {
            // Put back only if it can take another command.
            let mut connection = self.connection()?;
            let bytes = command(&connection, form);
            let cause = match connection.call(&bytes, &self.settings) {
                Ok(Reply::Error(error)) => match again(&error) {
                    Again::InFull if form == Form::Short => {
                        self.connection = Some(connection);
                        form = Form::Full;
                        continue;
                    }
                    Again::Elsewhere => error,
                    Again::Later => {
                        self.connection = Some(connection);
                        error
                    }
                    Again::No | Again::InFull => {
                        self.connection = Some(connection);
                        return Err(NoOutcome::NotDone(error));
                    }
                },
                Ok(reply) => {
                    self.connection = Some(connection);
                    return Ok(reply);
                }
                Err(Broken::Unsent(cause)) => cause,
                Err(Broken::Unanswered(cause)) => return Err(NoOutcome::Unknown(cause)),
            };
            if failures == self.settings.retries {
                return Err(NoOutcome::NotDone(cause));
            }
            failures += 1;
            pause(self.settings.backoff.after(failures, random()));
        }
    }

    /// The connection of earlier calls if it is good, else a new one: for at most `poolTimeout`, and at
    /// most `redisMaxRetries` more attempts.
    fn connection(&mut self) -> Result<Connection, NoOutcome> {
        if let Some(connection) = self.connection.take()
            && connection.is_good(&self.settings)
        {
            return Ok(connection);
        }
        let patience = Deadline::after(self.settings.pool_timeout);
        let mut failures = 0;
        loop {
            let dialing = Deadline::after(self.settings.dial_timeout);
            let (deadline, limit) = match (patience.left(), dialing.left()) {
                (Some(short), Some(long)) if short < long => (patience, self.settings.pool_timeout),
                (Some(_), None) => (patience, self.settings.pool_timeout),
                _ => (dialing, self.settings.dial_timeout),
            };
            let error = match dial(&self.settings, deadline) {
                Ok(connection) => return Ok(connection),
                Err(Some(error)) => error,
                Err(None) => {
                    let limit = written(limit.unwrap_or_default());
                    DialError { cause: format!("no connection within {limit}"), may_pass: true }
                }
            };
            let wait = self.settings.backoff.after(failures + 1, random());
            let too_late = patience.left().is_some_and(|left| left <= wait);
            if failures == self.settings.retries || !error.may_pass || too_late {
                return Err(NoOutcome::NotDone(error.cause));
            }
            failures += 1;
            pause(wait);
        }
    }

    /// A reply that is none to the command: what the connection brings next is not to be trusted either.
    fn nonsense(&mut self) -> NoOutcome {
        self.connection = None;
        NoOutcome::Unknown("the server's reply makes no sense".to_string())
    }

    fn failure(&self, error: NoOutcome, held_until: Option<u64>) -> Failure {
        let about = |cause| format!("redis {}: {cause}", self.settings.address());
        match error {
            NoOutcome::NotDone(cause) => Failure::NotDone(about(cause)),
            NoOutcome::Unknown(cause) => {
                Failure::Unknown(UnknownOutcome { cause: about(cause), held_until })
            }
        }
    }
}

fn command(words: &[&[u8]]) -> Vec<u8> {
    let mut bytes = Vec::new();
    push(&mut bytes, words);
    bytes
}

/// Until when a lock may be held whose acquire was not answered: its time to live, from the last moment
/// at which a server is reckoned to take the command up.
fn held_until(now: u64, ttl: u64) -> u64 {
    now.saturating_add(ttl.min(LATE)).saturating_add(ttl)
}

/// Waits that double from `min` to `max`, drawn at random so that many callers do not return together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Backoff {
    pub(crate) min: Duration,
    pub(crate) max: Duration,
}

impl Backoff {
    /// The wait after `failures` failures in a row, of which there is at least one. Never longer than
    /// `max`, also where `min` is.
    fn after(&self, failures: u32, random: u64) -> Duration {
        let doublings = failures.saturating_sub(1).min(31);
        let widest = self.min.saturating_mul(1 << doublings).min(self.max);
        let least = self.min.min(self.max);
        let room = u64::try_from((widest - least).as_nanos()).unwrap_or(u64::MAX - 1);
        least + Duration::from_nanos(random % (room + 1))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_lock_may_be_held_from_a_late_start() {
        assert_eq!(held_until(1_000, 500), 2_000);
        assert_eq!(held_until(1_000, 60_000), 91_000);
        assert_eq!(held_until(1_000, u64::MAX), u64::MAX);
    }

    proptest! {
        #[test]
        fn waits_stay_between_their_bounds(failures in 1..100_u32, random: u64) {
            let backoff = Backoff { min: Duration::from_millis(8), max: Duration::from_millis(512) };
            let wait = backoff.after(failures, random);
            prop_assert!(wait >= backoff.min && wait <= backoff.max, "{:?}", wait);
        }

        #[test]
        fn the_longest_interval_wins_over_the_shortest(failures in 1..100_u32, random: u64) {
            let backoff = Backoff { min: Duration::from_secs(2), max: Duration::from_millis(512) };
            prop_assert_eq!(backoff.after(failures, random), backoff.max);
        }
    }
}

//! Acquire and release, with their retries.

use alloc::{
    format,
    string::{String, ToString},
    vec::Vec,
};
use core::time::Duration;

use holdfast_redis_rules::{
    acquire::{self, Acquire},
    late::longest_hold,
    refusal::Again,
    release::{self, Form, Release},
    reply::{Nonsense, Reply},
    resp::push,
    settings::Settings,
    tries::{Next, Tries},
};

use crate::{
    bindings::{Acquired, Failure, Grant, Released, UnknownOutcome},
    connection::{Broken, Connection},
    dial::{DialError, dial},
    time::{Deadline, pause, random, wall_clock, written},
};

/// A server, and the connection to it if there is one.
pub(crate) struct Redis {
    settings: Settings,
    connection: Option<Connection>,
}

/// Why a command has no outcome.
enum NoOutcome {
    /// It did nothing.
    NotDone(String),
    /// The server may have run it, or may still run it.
    Unknown(String),
}

impl Redis {
    pub(crate) fn new(settings: Settings) -> Self {
        Self { settings, connection: None }
    }

    /// Takes a lock unless it is held; `ttl` is in milliseconds.
    pub(crate) fn acquire(
        &mut self,
        key: &str,
        owner: &str,
        ttl: u64,
    ) -> Result<Acquired, Failure> {
        let acquire = Acquire::new(key, owner, ttl);
        let outcome = self
            .run(&|_, _| command(&acquire.words()))
            .and_then(|reply| self.understood(acquire::Acquired::read(&reply)));
        match outcome {
            Ok(acquire::Acquired::Granted) => Ok(Acquired::Granted(Grant { fencing_token: None })),
            Ok(acquire::Acquired::Held) => Ok(Acquired::Held),
            Err(error) => Err(self.failure(error, Some(held_until(wall_clock(), ttl)))),
        }
    }

    /// Releases a lock if it is the owner's.
    pub(crate) fn release(&mut self, key: &str, owner: &str) -> Result<Released, Failure> {
        let release = Release { key, owner };
        let send = |connection: &Connection, form| match (&connection.script, form) {
            (Some(digest), Form::Short) => command(&release.short(digest)),
            _ => command(&release.full()),
        };
        let outcome =
            self.run(&send).and_then(|reply| self.understood(release::Released::read(&reply)));
        match outcome {
            Ok(release::Released::Released) => Ok(Released::Released),
            Ok(release::Released::Missing) => Ok(Released::Missing),
            Ok(release::Released::HeldByOther) => Ok(Released::HeldByOther),
            Err(error) => Err(self.failure(error, None)),
        }
    }

    /// Sends a command and waits for its reply. Sends it again only if it certainly did nothing and the
    /// reason may pass.
    fn run(&mut self, command: &dyn Fn(&Connection, Form) -> Vec<u8>) -> Result<Reply, NoOutcome> {
        let mut tries = Tries::new(self.settings.retries, self.settings.backoff);
        loop {
            // Put back below if it can take another command.
            let mut connection = self.connection()?;
            let bytes = command(&connection, tries.form());
            let (cause, next) = match connection.call(&bytes, &self.settings) {
                Ok(Reply::Error(error)) => {
                    let again = Again::after(&error);
                    if again != Again::Elsewhere {
                        self.connection = Some(connection);
                    }
                    (error, tries.refused(again, random()))
                }
                Ok(reply) => {
                    self.connection = Some(connection);
                    return Ok(reply);
                }
                Err(Broken::Unsent(cause)) => (cause, tries.failed(random())),
                Err(Broken::Unanswered(cause)) => return Err(NoOutcome::Unknown(cause)),
            };
            match next {
                Next::Now => {}
                Next::After(wait) => pause(wait),
                Next::GiveUp => return Err(NoOutcome::NotDone(cause)),
            }
        }
    }

    /// The connection of earlier calls if it is good, else a new one. Takes `poolTimeout` at most, and
    /// `redisMaxRetries` more attempts after the first.
    fn connection(&mut self) -> Result<Connection, NoOutcome> {
        if let Some(connection) = self.connection.take()
            && connection.is_good(&self.settings)
        {
            return Ok(connection);
        }
        let patience = Deadline::after(self.settings.pool_timeout);
        let mut tries = Tries::new(self.settings.retries, self.settings.backoff);
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
            match tries.failed(random()) {
                Next::After(wait)
                    if error.may_pass && patience.left().is_none_or(|left| wait < left) =>
                {
                    pause(wait);
                }
                _ => return Err(NoOutcome::NotDone(error.cause)),
            }
        }
    }

    /// Drops the connection after a reply that the command cannot have: later replies cannot be trusted
    /// either.
    fn understood<T>(&mut self, outcome: Result<T, Nonsense>) -> Result<T, NoOutcome> {
        outcome.map_err(|nonsense| {
            self.connection = None;
            NoOutcome::Unknown(nonsense.to_string())
        })
    }

    fn failure(&self, error: NoOutcome, held_until: Option<u64>) -> Failure {
        let about = |cause| format!("redis {}: {cause}", self.settings.address);
        match error {
            NoOutcome::NotDone(cause) => Failure::NotDone(about(cause)),
            NoOutcome::Unknown(cause) => {
                Failure::Unknown(UnknownOutcome { cause: about(cause), held_until })
            }
        }
    }
}

fn command(words: &[&str]) -> Vec<u8> {
    let mut bytes = Vec::new();
    push(&mut bytes, words);
    bytes
}

/// The time until which a lock may be held whose acquire was not answered. All times are in
/// milliseconds.
fn held_until(now: u64, ttl: u64) -> u64 {
    let longest = longest_hold(Duration::from_millis(ttl), Duration::ZERO);
    now.saturating_add(u64::try_from(longest.as_millis()).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_may_be_held_from_a_late_start() {
        assert_eq!(held_until(1_000, 500), 2_000);
        assert_eq!(held_until(1_000, 60_000), 91_000);
        assert_eq!(held_until(1_000, u64::MAX), u64::MAX);
    }
}

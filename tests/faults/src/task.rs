//! A task of a worker: takes and releases locks, and writes each call down when it starts and when it ends.

use std::{
    io::{self, Write},
    ops::Range,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use anyhow::{Context, Result};
use holdfast::store::{Acquired, Failure, Released, Store};
use tokio::{sync::watch, time::timeout};

use crate::history::{Answer, Call, Event, now, wall};

/// The longest time to live that a worker asks for, in milliseconds.
pub const LONGEST_TTL: u64 = 3_000;

const SHORTEST_TTL: u64 = 200;
const SHORT_TTL: u64 = 600;

/// The name of a key. All are in one slot of a Redis Cluster.
pub fn key(number: usize) -> String {
    format!("lock||{{faults}}||{number}")
}

/// Whether a key of Redis is that of a lock, and not that of its fencing token.
pub fn is_lock(name: &str) -> bool {
    !name.starts_with("lock||fence||")
}

/// Writes the calls of a process.
pub struct Journal {
    process: u32,
    calls: AtomicU64,
}

impl Journal {
    /// The journal of this process.
    pub fn new(process: u32) -> Self {
        Self { process, calls: AtomicU64::new(0) }
    }

    fn write(&self, event: &Event) -> Result<()> {
        let mut line = serde_json::to_string(event).context("an event as JSON")?;
        line.push('\n');
        io::stdout().lock().write_all(line.as_bytes()).context("the driver is gone")
    }
}

/// Takes one lock after the other.
pub struct Task {
    /// Where the locks are.
    pub store: Arc<dyn Store>,
    /// Where the calls are written down.
    pub journal: Arc<Journal>,
    /// The number of this task in the process.
    pub number: u32,
    /// How many keys there are.
    pub keys: usize,
    /// Whether the worker is to stop.
    pub stopped: watch::Receiver<bool>,
    /// Its choices.
    pub random: fastrand::Rng,
}

impl Task {
    /// Works until the worker is to stop.
    pub async fn run(mut self) -> Result<()> {
        let mut round = 0;
        while !*self.stopped.borrow() {
            let key = key(self.random.usize(..self.keys));
            let owner = format!("{}.{}.{round}", self.journal.process, self.number);
            self.hold(&key, &owner).await?;
            self.pause(1..20).await;
            round += 1;
        }
        Ok(())
    }

    /// One hold: acquires, works for a while, and releases, mostly.
    async fn hold(&mut self, key: &str, owner: &str) -> Result<()> {
        // Many are short: their grants can come too late.
        let longest = if self.random.bool() { SHORT_TTL } else { LONGEST_TTL };
        let ttl = self.random.u64(SHORTEST_TTL..=longest);
        match self.acquire(key, owner, ttl).await? {
            Answer::Granted => {
                match self.random.u8(..20) {
                    0 => self.pause(ttl..ttl + 100).await,
                    1..=3 => self.pause(0..ttl).await,
                    _ => self.pause(0..20).await,
                }
                if self.one_in(20) {
                    return Ok(());
                }
                let answer = self.release(key, owner).await?;
                if answer != Answer::Released || self.one_in(10) {
                    self.release(key, owner).await?;
                }
            }
            Answer::Unknown { .. } | Answer::Left if self.one_in(2) => {
                self.release(key, owner).await?;
            }
            // A release by a caller that was told it has no lock must do nothing.
            _ if self.one_in(20) => drop(self.release(key, owner).await?),
            _ => {}
        }
        Ok(())
    }

    async fn acquire(&mut self, key: &str, owner: &str, ttl: u64) -> Result<Answer> {
        let store = self.store.clone();
        let length = Duration::from_millis(ttl);
        let call = match self.random.bool() {
            true => store.acquire_fenced(key, owner, length),
            false => store.acquire(key, owner, length),
        };
        self.call(key, owner, Call::Acquire(ttl), call, |outcome| match outcome {
            Acquired::Granted(grant) => (Answer::Granted, grant.fencing_token),
            Acquired::Held => (Answer::Held, None),
        })
        .await
    }

    async fn release(&mut self, key: &str, owner: &str) -> Result<Answer> {
        let store = self.store.clone();
        let call = store.release(key, owner);
        self.call(key, owner, Call::Release, call, |outcome| match outcome {
            Released::Released => (Answer::Released, None),
            Released::Missing => (Answer::Missing, None),
            Released::HeldByOther => (Answer::HeldByOther, None),
        })
        .await
    }

    /// Makes a call and writes it down. Sometimes drops it before it ends.
    async fn call<T>(
        &mut self,
        key: &str,
        owner: &str,
        call: Call,
        outcome: impl Future<Output = Result<T, Failure>>,
        meaning: impl Fn(T) -> (Answer, Option<u64>),
    ) -> Result<Answer> {
        let start = now();
        let mut event = Event {
            process: self.journal.process,
            worker: self.number,
            number: self.journal.calls.fetch_add(1, Ordering::Relaxed),
            key: key.to_owned(),
            owner: owner.to_owned(),
            call,
            start,
            end: start,
            wall: 0,
            answer: Answer::Pending,
            token: None,
        };
        self.journal.write(&event)?;
        let patience = match self.random.u8(..40) {
            0 => Duration::from_micros(self.random.u64(..1_000)),
            1..=2 => Duration::from_millis(self.random.u64(..600)),
            _ => Duration::MAX,
        };
        let (answer, token) = match timeout(patience, outcome).await {
            Ok(Ok(outcome)) => meaning(outcome),
            Ok(Err(failure)) => (failed(failure), None),
            Err(_) => (Answer::Left, None),
        };
        event.end = now();
        event.wall = wall();
        event.answer = answer.clone();
        event.token = token;
        self.journal.write(&event)?;
        Ok(answer)
    }

    /// Waits for some of these milliseconds, or until the worker has to stop.
    async fn pause(&mut self, milliseconds: Range<u64>) {
        let wait = Duration::from_millis(self.random.u64(milliseconds));
        let _ = timeout(wait, self.stopped.wait_for(|stopped| *stopped)).await;
    }

    fn one_in(&mut self, times: u8) -> bool {
        self.random.u8(..times) == 0
    }
}

fn failed(failure: Failure) -> Answer {
    match failure {
        Failure::NotDone(cause) => Answer::NotDone(cause),
        Failure::Unknown(outcome) => {
            Answer::Unknown { cause: outcome.cause, held_until: outcome.held_until }
        }
    }
}

//! How many calls may be in flight at a time, and how many more may wait for their turn, or for locks.

use std::sync::atomic::{AtomicUsize, Ordering};

use ::metrics::Gauge;
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::{
    error::Error,
    limits::Limits,
    metrics::{CALLS_IN_FLIGHT, CALLS_WAITING},
};

pub(super) struct Admission {
    in_flight: Semaphore,
    waiting: AtomicUsize,
    max_in_flight: usize,
    max_waiting: usize,
    /// How many calls wait for locks.
    lock_waits: AtomicUsize,
    max_lock_waits: usize,
    in_flight_gauge: Gauge,
    waiting_gauge: Gauge,
}

/// A call's place among those in flight.
pub(super) type Turn<'a> = SemaphorePermit<'a>;

impl Admission {
    pub(super) fn new(limits: &Limits) -> Self {
        Self {
            in_flight: Semaphore::new(limits.in_flight),
            waiting: AtomicUsize::new(0),
            max_in_flight: limits.in_flight,
            max_waiting: limits.waiting,
            lock_waits: AtomicUsize::new(0),
            max_lock_waits: limits.lock_waits,
            in_flight_gauge: CALLS_IN_FLIGHT.with(()),
            waiting_gauge: CALLS_WAITING.with(()),
        }
    }

    /// Waits for a turn, first come first served. Fails at once if too many calls wait already.
    pub(super) async fn turn(&self) -> Result<Turn<'_>, Error> {
        if let Ok(turn) = self.in_flight.try_acquire() {
            return Ok(turn);
        }
        let _waiting =
            Waiting::enter(&self.waiting, self.max_waiting).ok_or_else(|| self.overloaded())?;
        self.in_flight.acquire().await.map_err(|_closed| self.overloaded())
    }

    /// Lets a call wait for a lock, until the returned value is dropped. Fails if too many calls wait already.
    pub(super) fn lock_wait(&self) -> Result<Waiting<'_>, Error> {
        let wait = Waiting::enter(&self.lock_waits, self.max_lock_waits);
        wait.ok_or(Error::TooManyWaits { lock_waits: self.max_lock_waits })
    }

    pub(super) fn record_gauges(&self) {
        let in_flight = self.max_in_flight.saturating_sub(self.in_flight.available_permits());
        self.in_flight_gauge.set(in_flight as f64);
        // A refused call is counted briefly, so cap the number.
        let waiting = self.waiting.load(Ordering::Relaxed).min(self.max_waiting);
        self.waiting_gauge.set(waiting as f64);
    }

    fn overloaded(&self) -> Error {
        Error::Overloaded { in_flight: self.max_in_flight, waiting: self.max_waiting }
    }
}

/// A call that waits for its turn or for a lock, counted until it is dropped.
pub(super) struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn enter(waiting: &'a AtomicUsize, max: usize) -> Option<Self> {
        let place = Self(waiting);
        (waiting.fetch_add(1, Ordering::Relaxed) < max).then_some(place)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

//! A circuit breaker: whether a call may pass, by the results of earlier calls.
//!
//! Its states and counts are those of `sony/gobreaker`, which daprd 1.18 uses. While it is closed, calls pass and are
//! counted. While it is open, no call passes. While it is half-open, a few calls pass and decide whether it closes or
//! opens. Own code: no crate has the same counts.

use std::{
    fmt,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use super::{counts::Counts, metrics::BreakerMetrics, trip::Trip};

/// The settings of a circuit breaker.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct CircuitBreaker {
    /// The name of the breaker, for the log.
    pub name: String,
    /// How many calls may pass while the breaker is half-open, and how many must succeed in a row for it to close.
    /// Default: 1. 0 means 1.
    pub max_requests: u32,
    /// How often the counts are cleared while the breaker is closed. Default: never.
    pub interval: Option<Duration>,
    /// How long the breaker stays open before it is half-open. Default: 60 s.
    pub timeout: Duration,
    /// When a failure opens the breaker. Default, and `None`: after more than 5 failures in a row.
    pub trip: Option<Trip>,
}

impl CircuitBreaker {
    /// A breaker with the default settings.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            max_requests: 1,
            interval: None,
            timeout: Duration::from_secs(60),
            trip: None,
        }
    }
}

impl fmt::Display for CircuitBreaker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.trip {
            Some(trip) => write!(f, "opens when {trip}")?,
            None => f.write_str("opens when consecutiveFailures > 5")?,
        }
        write!(f, ", for {:?}", self.timeout)
    }
}

/// Why a call may not pass, in the words of daprd.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum BreakerRefusal {
    #[error("circuit breaker is open")]
    Open,
    #[error("too many requests")]
    TooMany,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Closed until the counts are cleared; `None` for never.
    Closed(Option<Instant>),
    Open(Instant),
    HalfOpen,
}

/// A circuit breaker at work. It uses Tokio's time.
#[derive(Debug)]
pub(super) struct Breaker {
    settings: CircuitBreaker,
    /// The name of the store, for the log.
    store: String,
    state: Mutex<State>,
    metrics: BreakerMetrics,
}

#[derive(Debug)]
struct State {
    phase: Phase,
    /// How often the counts were cleared. The result of a call that began before the latest time is ignored.
    generation: u64,
    counts: Counts,
}

/// A call that may pass. A passage that is dropped before its end is not counted.
#[derive(Debug)]
pub(super) struct Passage<'a> {
    breaker: &'a Breaker,
    generation: u64,
    ended: bool,
}

impl Breaker {
    pub(super) fn new(store: &str, settings: CircuitBreaker) -> Self {
        let phase = Phase::Closed(settings.interval.and_then(after));
        let state = State { phase, generation: 0, counts: Counts::default() };
        let metrics = BreakerMetrics::new(store);
        Self { settings, store: store.to_owned(), state: Mutex::new(state), metrics }
    }

    /// Lets a call pass, or refuses it.
    pub(super) fn enter(&self) -> Result<Passage<'_>, BreakerRefusal> {
        let mut state = self.current();
        match state.phase {
            Phase::Open(_) => return Err(BreakerRefusal::Open),
            Phase::HalfOpen if state.counts.requests >= self.probes() => {
                return Err(BreakerRefusal::TooMany);
            }
            Phase::Closed(_) | Phase::HalfOpen => {}
        }
        state.counts.requests = state.counts.requests.saturating_add(1);
        Ok(Passage { breaker: self, generation: state.generation, ended: false })
    }

    /// How many calls may pass while the breaker is half-open.
    fn probes(&self) -> u32 {
        self.settings.max_requests.max(1)
    }

    /// The current state, with the changes that the passing of time makes.
    fn current(&self) -> MutexGuard<'_, State> {
        // Every change leaves the state consistent, so a panic elsewhere does no harm.
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        match state.phase {
            Phase::Closed(Some(until)) if until < now => {
                let phase = Phase::Closed(self.settings.interval.and_then(after));
                state.begin(phase);
            }
            Phase::Open(until) if until < now => self.change(&mut state, Phase::HalfOpen),
            _ => {}
        }
        state
    }

    fn change(&self, state: &mut State, phase: Phase) {
        state.begin(phase);
        let (store, breaker) = (&self.store, &self.settings.name);
        match phase {
            Phase::Closed(_) => {
                self.metrics.set_closed();
                tracing::info!(store, breaker, "the circuit breaker is closed");
            }
            Phase::HalfOpen => {
                self.metrics.set_half_open();
                tracing::info!(store, breaker, "the circuit breaker is half-open");
            }
            Phase::Open(_) => {
                self.metrics.set_open();
                let timeout = self.settings.timeout;
                tracing::warn!(store, breaker, "the circuit breaker is open for {timeout:?}");
            }
        }
    }

    fn succeeded(&self, state: &mut State) {
        let counts = &mut state.counts;
        counts.total_successes = counts.total_successes.saturating_add(1);
        counts.consecutive_successes = counts.consecutive_successes.saturating_add(1);
        counts.consecutive_failures = 0;
        if state.phase == Phase::HalfOpen && counts.consecutive_successes >= self.probes() {
            self.change(state, Phase::Closed(self.settings.interval.and_then(after)));
        }
    }

    fn failed(&self, state: &mut State) {
        let counts = &mut state.counts;
        counts.total_failures = counts.total_failures.saturating_add(1);
        counts.consecutive_failures = counts.consecutive_failures.saturating_add(1);
        counts.consecutive_successes = 0;
        let opens = match (state.phase, &self.settings.trip) {
            (Phase::HalfOpen, _) => true,
            (_, Some(trip)) => trip.holds(counts),
            (_, None) => counts.consecutive_failures > 5,
        };
        if opens && let Some(until) = after(self.settings.timeout) {
            self.change(state, Phase::Open(until));
        }
    }
}

impl State {
    fn begin(&mut self, phase: Phase) {
        self.phase = phase;
        self.generation += 1;
        self.counts = Counts::default();
    }
}

impl Passage<'_> {
    /// Records the result of the call.
    pub(super) fn end(mut self, success: bool) {
        self.ended = true;
        let mut state = self.breaker.current();
        if state.generation == self.generation {
            match success {
                true => self.breaker.succeeded(&mut state),
                false => self.breaker.failed(&mut state),
            }
        }
    }
}

impl Drop for Passage<'_> {
    fn drop(&mut self) {
        if !self.ended {
            let mut state = self.breaker.current();
            if state.generation == self.generation {
                state.counts.requests = state.counts.requests.saturating_sub(1);
            }
        }
    }
}

/// The time after this duration; `None` for a time beyond the range of the clock, which never comes.
fn after(duration: Duration) -> Option<Instant> {
    Instant::now().checked_add(duration)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn breaker(change: impl FnOnce(&mut CircuitBreaker)) -> Breaker {
        let mut settings = CircuitBreaker::new("cb");
        settings.trip = Some(Trip::parse("consecutiveFailures >= 2").unwrap());
        settings.timeout = 10 * SECOND;
        change(&mut settings);
        Breaker::new("lockstore", settings)
    }

    fn pass(breaker: &Breaker, success: bool) {
        breaker.enter().unwrap().end(success);
    }

    fn refusal(breaker: &Breaker) -> Option<BreakerRefusal> {
        breaker.enter().err()
    }

    async fn wait(duration: Duration) {
        tokio::time::advance(duration).await;
    }

    #[tokio::test(start_paused = true)]
    async fn opens_probes_and_closes() {
        let breaker = breaker(|_| {});
        pass(&breaker, false);
        pass(&breaker, true);
        pass(&breaker, false);
        assert_eq!(refusal(&breaker), None);
        pass(&breaker, false);
        assert_eq!(refusal(&breaker), Some(BreakerRefusal::Open));
        wait(10 * SECOND).await;
        assert_eq!(refusal(&breaker), Some(BreakerRefusal::Open));
        wait(Duration::from_millis(1)).await;

        let probe = breaker.enter().unwrap();
        assert_eq!(refusal(&breaker), Some(BreakerRefusal::TooMany));
        probe.end(false);
        assert_eq!(refusal(&breaker), Some(BreakerRefusal::Open));
        wait(11 * SECOND).await;
        pass(&breaker, true);
        pass(&breaker, false);
        assert_eq!(refusal(&breaker), None);
    }

    #[tokio::test(start_paused = true)]
    async fn several_probes_must_succeed_in_a_row() {
        let breaker = breaker(|settings| settings.max_requests = 2);
        pass(&breaker, false);
        pass(&breaker, false);
        wait(11 * SECOND).await;
        pass(&breaker, true);
        let second = breaker.enter().unwrap();
        assert_eq!(refusal(&breaker), Some(BreakerRefusal::TooMany));
        second.end(true);
        let (_one, _two, _three) =
            (breaker.enter().unwrap(), breaker.enter().unwrap(), breaker.enter().unwrap());
    }

    #[tokio::test(start_paused = true)]
    async fn a_probe_that_nobody_waits_for_makes_room_for_another() {
        let breaker = breaker(|_| {});
        pass(&breaker, false);
        pass(&breaker, false);
        wait(11 * SECOND).await;
        for _ in 0..3 {
            drop(breaker.enter().unwrap());
        }
        pass(&breaker, true);
        assert!(matches!(breaker.current().phase, Phase::Closed(_)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_of_an_earlier_time_is_not_heard() {
        let breaker = breaker(|_| {});
        let (early, dropped) = (breaker.enter().unwrap(), breaker.enter().unwrap());
        pass(&breaker, false);
        pass(&breaker, false);
        wait(11 * SECOND).await;
        let probe = breaker.enter().unwrap();
        early.end(false);
        drop(dropped);
        assert_eq!(refusal(&breaker), Some(BreakerRefusal::TooMany));
        probe.end(true);
        assert_eq!(refusal(&breaker), None);
    }

    #[tokio::test(start_paused = true)]
    async fn counts_are_cleared_at_intervals_while_it_is_closed() {
        let breaker = breaker(|settings| settings.interval = Some(SECOND));
        pass(&breaker, false);
        wait(SECOND + Duration::from_millis(1)).await;
        pass(&breaker, false);
        assert_eq!(refusal(&breaker), None);
        pass(&breaker, false);
        assert_eq!(refusal(&breaker), Some(BreakerRefusal::Open));
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_condition_more_than_five_failures_in_a_row_open_it() {
        let breaker = breaker(|settings| settings.trip = None);
        for _ in 0..5 {
            pass(&breaker, false);
        }
        assert_eq!(refusal(&breaker), None);
        pass(&breaker, false);
        assert_eq!(refusal(&breaker), Some(BreakerRefusal::Open));
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_counted() {
        let breaker = breaker(|settings| settings.trip = Some(Trip::parse("false").unwrap()));
        pass(&breaker, true);
        pass(&breaker, false);
        pass(&breaker, false);
        pass(&breaker, true);
        drop(breaker.enter().unwrap());
        let _under_way = breaker.enter().unwrap();
        let expected = Counts {
            requests: 5,
            total_successes: 2,
            total_failures: 2,
            consecutive_successes: 1,
            consecutive_failures: 0,
        };
        assert_eq!(breaker.current().counts, expected);
    }
}

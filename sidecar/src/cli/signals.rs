//! The signals that a process gets.

use std::{
    fs,
    future::poll_fn,
    io,
    task::Poll,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use nix::sys::signal::{self as mask, SigSet};
use rustix::process::Signal;
use tokio::{
    runtime::Runtime,
    signal::unix::{self, SignalKind, signal},
};

/// Signals within this time of the first one belong to the same request to end. One request may come as several
/// signals: to each process of a group, and to one of them besides.
pub const APART: Duration = Duration::from_secs(1);

/// The signals that would end a process without handlers.
const DEFERRED: [mask::Signal; 6] = [
    mask::Signal::SIGTERM,
    mask::Signal::SIGINT,
    mask::Signal::SIGHUP,
    mask::Signal::SIGQUIT,
    mask::Signal::SIGUSR1,
    mask::Signal::SIGUSR2,
];

/// Unblocks all signals, even if the parent of this process had blocked some: a blocked SIGCHLD would hide the end of a
/// program, and a blocked SIGTERM a request to end. Call it before other threads start, because they inherit the mask.
pub fn unblock() {
    // `pthread_sigmask` fails only for an invalid `how`.
    let _ = SigSet::all().thread_unblock();
}

/// Blocks the signals that would end this process until [`main`](super::main) receives them, and unblocks all others.
/// Call it before other threads start, because they inherit the mask.
pub fn defer() {
    let _ = SigSet::from_iter(DEFERRED).thread_set_mask();
}

/// A runtime, and the signals of a process that shuts down gracefully.
pub struct SignalRuntime<S> {
    pub runtime: Runtime,
    pub signals: S,
}

impl<S> SignalRuntime<S> {
    /// Receives signals from now on.
    pub fn new(runtime: Runtime, receive: impl FnOnce() -> io::Result<S>) -> Result<Self> {
        let signals = {
            let _entered = runtime.enter();
            receive().context("cannot receive signals")?
        };
        Ok(Self { runtime, signals })
    }
}

/// The signals of some names that this process gets from the moment that this is created. Those that it was started to
/// ignore stay ignored, here and in the programs that it starts, as under nohup.
pub struct Heard(Vec<(Signal, unix::Signal)>);

impl Heard {
    pub fn new(names: &[Signal]) -> io::Result<Self> {
        let ignored = ignored();
        let heard = names.iter().filter(|signal| ignored & bit(**signal) == 0);
        let streams = heard.map(|name| Ok((*name, signal(SignalKind::from_raw(name.as_raw()))?)));
        Ok(Self(streams.collect::<io::Result<_>>()?))
    }

    /// Waits for the next of the signals that are wanted, and leaves the others for later.
    pub async fn next(&mut self, is_wanted: impl Fn(Signal) -> bool) -> Signal {
        poll_fn(|context| {
            let mut streams = self.0.iter_mut().filter(|(name, _)| is_wanted(*name));
            let received = streams
                .find_map(|(name, stream)| stream.poll_recv(context).is_ready().then_some(*name));
            received.map_or(Poll::Pending, Poll::Ready)
        })
        .await
    }
}

/// The signals that this process has ignored since its start, as far as the system reports them.
fn ignored() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or_default()
}

fn bit(signal: Signal) -> u64 {
    1 << (signal.as_raw() - 1)
}

/// SIGTERM, SIGINT and SIGQUIT, which end the process, and SIGHUP, SIGUSR1 and SIGUSR2, which do not. All are received
/// from the moment that this is created, except for those that the process was started to ignore.
pub struct Signals(Heard);

impl Signals {
    const NAMES: [Signal; 6] =
        [Signal::TERM, Signal::INT, Signal::QUIT, Signal::HUP, Signal::USR1, Signal::USR2];

    pub fn new() -> io::Result<Self> {
        Heard::new(&Self::NAMES).map(Self)
    }

    /// Waits for the next signal.
    pub async fn any(&mut self) -> Signal {
        self.0.next(|_| true).await
    }

    /// Waits for the next signal that ends the process, and leaves the others for later.
    pub async fn end(&mut self) {
        self.0.next(is_end).await;
    }

    /// Waits for the next signal that ends the process, and notes the others.
    pub async fn next(&mut self) {
        loop {
            let signal = self.any().await;
            if is_end(signal) {
                return;
            }
            note(signal);
        }
    }

    /// Waits during a shutdown for a second request to end. The first may still have to come, if the shutdown began
    /// otherwise.
    pub async fn second(&mut self, requests: &mut Requests) {
        loop {
            let signal = self.any().await;
            if !is_end(signal) {
                note(signal);
                continue;
            }
            match requests.take(signal, Instant::now()) {
                Request::Second => return,
                Request::New => note_end(),
                Request::Repeated => {}
            }
        }
    }
}

/// The signals that have asked this process to end.
#[derive(Debug, Default)]
pub struct Requests {
    first: Option<Instant>,
    heard: Vec<Signal>,
}

/// What such a signal means.
#[derive(Debug, PartialEq, Eq)]
pub enum Request {
    /// It is the first, or belongs to the first, and is another signal.
    New,
    /// It belongs to the first, and is the same signal.
    Repeated,
    /// Somebody has asked again.
    Second,
}

impl Requests {
    /// Notes a signal that has come now.
    pub fn take(&mut self, signal: Signal, now: Instant) -> Request {
        let first = *self.first.get_or_insert(now);
        if now.saturating_duration_since(first) >= APART {
            return Request::Second;
        }
        if self.heard.contains(&signal) {
            return Request::Repeated;
        }
        self.heard.push(signal);
        Request::New
    }
}

/// Whether a signal ends the process.
pub fn is_end(signal: Signal) -> bool {
    [Signal::TERM, Signal::INT, Signal::QUIT].contains(&signal)
}

/// Logs a signal that asks for a shutdown that has begun.
pub fn note_end() {
    tracing::info!(
        "the shutdown is already under way; another signal after {APART:?} ends it at once"
    );
}

/// Logs a signal that has no effect.
pub fn note(signal: Signal) {
    if signal == Signal::HUP {
        tracing::info!("SIGHUP has no effect: resource files are read at the start");
    } else {
        tracing::info!("SIGUSR1 and SIGUSR2 have no effect");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A supervisor may signal a process and then its group, or the group by two signals.
    #[test]
    fn signals_of_the_same_second_are_one_request() {
        let mut requests = Requests::default();
        let begun = Instant::now();
        let mut take = |signal, after| requests.take(signal, begun + Duration::from_millis(after));
        assert_eq!(take(Signal::TERM, 0), Request::New);
        assert_eq!(take(Signal::TERM, 1), Request::Repeated);
        assert_eq!(take(Signal::INT, 2), Request::New);
        assert_eq!(take(Signal::INT, 999), Request::Repeated);
        assert_eq!(take(Signal::TERM, 1000), Request::Second);
        assert_eq!(take(Signal::QUIT, 5000), Request::Second);
    }
}

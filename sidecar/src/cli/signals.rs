//! The signals that a process gets.

use std::io;

use anyhow::{Context, Result};
use nix::sys::signal::{self as mask, SigSet};
use rustix::process::Signal;
use tokio::{
    runtime::Runtime,
    signal::unix::{self, SignalKind, signal},
};

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
    // It fails for an unknown way to change the mask only.
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

/// SIGTERM and SIGINT, which end the process, and SIGHUP, SIGUSR1 and SIGUSR2, which do not. All are received
/// from the moment that this is created.
pub struct Signals {
    terminate: unix::Signal,
    interrupt: unix::Signal,
    hangup: unix::Signal,
    user1: unix::Signal,
    user2: unix::Signal,
}

impl Signals {
    pub fn new() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
            user1: signal(SignalKind::user_defined1())?,
            user2: signal(SignalKind::user_defined2())?,
        })
    }

    /// Waits for the next signal.
    pub async fn any(&mut self) -> Signal {
        tokio::select! {
            _ = self.terminate.recv() => Signal::TERM,
            _ = self.interrupt.recv() => Signal::INT,
            _ = self.hangup.recv() => Signal::HUP,
            _ = self.user1.recv() => Signal::USR1,
            _ = self.user2.recv() => Signal::USR2,
        }
    }

    /// Waits for the next signal that ends the process, and leaves the others for later.
    pub async fn end(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
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
}

/// Whether a signal ends the process.
pub fn is_end(signal: Signal) -> bool {
    signal == Signal::TERM || signal == Signal::INT
}

/// Logs a signal that has no effect.
pub fn note(signal: Signal) {
    if signal == Signal::HUP {
        tracing::info!("SIGHUP has no effect: resource files are read at the start");
    } else {
        tracing::info!("SIGUSR1 and SIGUSR2 have no effect");
    }
}

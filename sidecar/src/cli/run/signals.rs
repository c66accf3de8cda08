//! The signals that are passed on to the program.

use std::{fs, future::poll_fn, io, task::Poll};

use rustix::process::Signal;
use tokio::signal::unix::{self, SignalKind, signal};

use super::terminal;

const PASSED_ON: [Signal; 9] = [
    Signal::TERM,
    Signal::INT,
    Signal::HUP,
    Signal::QUIT,
    Signal::USR1,
    Signal::USR2,
    Signal::WINCH,
    Signal::TSTP,
    Signal::CONT,
];

/// The signals that this process gets from the moment that this is created. Signals that it was started to ignore stay
/// ignored, here and in the program, as under nohup.
pub struct Signals(Vec<(Signal, unix::Signal)>);

impl Signals {
    pub fn new() -> io::Result<Self> {
        let ignored = ignored();
        let heard = PASSED_ON.iter().filter(|signal| ignored & bit(**signal) == 0);
        let streams = heard.map(|name| Ok((*name, signal(SignalKind::from_raw(name.as_raw()))?)));
        Ok(Self(streams.collect::<io::Result<_>>()?))
    }

    /// Waits for the next signal.
    pub async fn next(&mut self) -> Signal {
        poll_fn(|context| {
            let mut streams = self.0.iter_mut();
            let received = streams
                .find_map(|(name, stream)| stream.poll_recv(context).is_ready().then_some(*name));
            received.map_or(Poll::Pending, Poll::Ready)
        })
        .await
    }

    /// Waits for the next signal that ends a process. Without a command, a signal that stops a process stops this one.
    pub async fn end(&mut self) -> Signal {
        loop {
            match self.next().await {
                Signal::TSTP => terminal::stop(),
                signal if is_end(signal) => return signal,
                _ => {}
            }
        }
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

/// Whether a signal is one that ends a process.
pub fn is_end(signal: Signal) -> bool {
    [Signal::TERM, Signal::INT, Signal::HUP, Signal::QUIT].contains(&signal)
}

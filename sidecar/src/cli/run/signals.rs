//! The signals that are passed on to the program.

use std::io;

use rustix::process::Signal;

use super::{super::signals::Heard, terminal};

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
pub struct Signals(Heard);

impl Signals {
    pub fn new() -> io::Result<Self> {
        Heard::new(&PASSED_ON).map(Self)
    }

    /// Waits for the next signal.
    pub async fn next(&mut self) -> Signal {
        self.0.next(|_| true).await
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

/// Whether a signal is one that ends a process.
pub fn is_end(signal: Signal) -> bool {
    [Signal::TERM, Signal::INT, Signal::HUP, Signal::QUIT].contains(&signal)
}

//! Exit codes.

use std::{os::unix::process::ExitStatusExt, process::ExitStatus};

/// The command succeeded. If it answers yes or no, the answer is yes.
pub const SUCCESS: u8 = 0;
/// The answer is no.
pub const NEGATIVE: u8 = 1;
/// The command failed. If it answers yes or no, there is no answer.
pub const FAILURE: u8 = 2;

/// The exit code for a program that a signal ended is this plus the number of the signal, as in a shell.
const BY_SIGNAL: u8 = 128;

// The codes of `run` that are not its command's. Up to 127 they are those of GNU timeout.

/// The lock was not free in time.
pub const NOT_ACQUIRED: u8 = 124;
/// `run` itself failed.
pub const RUN_FAILED: u8 = 125;
/// The command cannot be executed.
pub const NOT_EXECUTABLE: u8 = 126;
/// There is no such command.
pub const NOT_FOUND: u8 = 127;
/// The lock was lost. The first code after those of signals.
pub const LOST: u8 = 193;
/// The lock was held for the longest time allowed.
pub const HELD_TOO_LONG: u8 = 194;

/// The code that says how a program ended, as a shell has it.
pub fn code(status: ExitStatus) -> u8 {
    match status.code().and_then(|code| u8::try_from(code).ok()) {
        Some(code) => code,
        None => by_signal(status.signal().unwrap_or_default()),
    }
}

/// The code after this signal.
pub fn by_signal(signal: i32) -> u8 {
    BY_SIGNAL.saturating_add(u8::try_from(signal).unwrap_or_default())
}

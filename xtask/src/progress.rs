//! The progress of a long command: a line when a step begins, and one with its time when it is done.
//!
//! Within a step the programs that it runs show their own progress. cargo has a bar where there is a terminal.

use std::time::{Duration, Instant};

use anyhow::Result;

/// Runs a step of a command.
pub fn step<T>(what: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
    eprintln!("xtask: {what} ...");
    let begun = Instant::now();
    let done = work()?;
    eprintln!("xtask: {what}: done in {}", text(begun.elapsed()));
    Ok(done)
}

fn text(time: Duration) -> String {
    match time.as_secs() {
        seconds @ 0..60 => format!("{seconds} s"),
        seconds => format!("{} min {} s", seconds / 60, seconds % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_in_minutes_and_seconds() {
        assert_eq!(text(Duration::from_millis(59_900)), "59 s");
        assert_eq!(text(Duration::from_secs(601)), "10 min 1 s");
    }
}

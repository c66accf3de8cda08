//! Processes that do not outlive the test that started them.

use std::{
    fs,
    io::{Error, ErrorKind, Result},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};

/// How long a process may take to stand still.
const STANDING_STILL: Duration = Duration::from_secs(60);

/// A process that is killed when this is dropped, and when the test's own process ends.
pub struct Watched {
    process: Child,
    /// Kills the process when the test's process ends without dropping this.
    watcher: Child,
}

impl Watched {
    /// Starts a program.
    ///
    /// # Panics
    ///
    /// When the program cannot be run.
    pub fn start(mut command: Command) -> Self {
        let process = command
            .spawn()
            .unwrap_or_else(|error| panic!("cannot run {:?}: {error}", command.get_program()));
        // The watcher's input ends with this process, even if that is killed.
        let watcher = Command::new("sh")
            .args(["-c", "cat; kill -KILL $0", &process.id().to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("a shell");
        Self { process, watcher }
    }

    /// The process.
    pub fn process(&self) -> &Child {
        &self.process
    }

    /// The process.
    pub fn process_mut(&mut self) -> &mut Child {
        &mut self.process
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        // The watcher first: the kernel may give the process's id to another one once it has ended.
        for child in [&mut self.watcher, &mut self.process] {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Has a process stand still (SIGSTOP), and returns once it does: threads of a busy machine may run for a while longer.
///
/// # Errors
///
/// When there is no such process, or when it does not stand still within a minute.
pub fn suspend(process: Pid) -> Result<()> {
    let deadline = Instant::now() + STANDING_STILL;
    kill_process(process, Signal::STOP)?;
    while !stands_still(process)? {
        if Instant::now() > deadline {
            return Err(Error::new(ErrorKind::TimedOut, "the process does not stand still"));
        }
        thread::sleep(Duration::from_millis(1));
    }
    Ok(())
}

/// Whether each thread of a process is stopped.
fn stands_still(process: Pid) -> Result<bool> {
    for thread in fs::read_dir(format!("/proc/{}/task", process.as_raw_nonzero()))? {
        // A thread that has ended meanwhile does nothing more.
        let Ok(stat) = fs::read_to_string(thread?.path().join("stat")) else { continue };
        // The state comes behind the name, which is in brackets.
        if !stat.rsplit(')').next().is_some_and(|state| state.trim_start().starts_with('T')) {
            return Ok(false);
        }
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_suspended_process_stands_still() {
        let mut busy = Command::new("sh");
        busy.args(["-c", "while :; do :; done"]);
        let busy = Watched::start(busy);
        let id = Pid::from_child(busy.process());
        assert!(!stands_still(id).unwrap());
        suspend(id).unwrap();
        assert!(stands_still(id).unwrap());
    }
}

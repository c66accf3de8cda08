//! The terminal on stdin, and its foreground process group, which reads from it.

use std::{
    env,
    ffi::OsString,
    io::{IsTerminal, stdin, stdout},
    os::unix::process::CommandExt,
    path::PathBuf,
    process::{Command, ExitCode, Stdio},
};

// rustix assumes that no group and no session lies outside of the PID namespace.
use nix::unistd::{self, getpgrp, getsid};
use rustix::{
    process::{Pid, Signal, getpid, kill_process},
    termios::{tcgetpgrp, tcsetpgrp},
};

/// The name under which this program moves a group to the foreground. It is not a command, so that no user finds it.
const FOREGROUND: &str = "holdfast-foreground";

/// The terminal on stdin, which controls this process.
pub struct Terminal {
    /// The group of this process.
    ours: Pid,
}

impl Terminal {
    /// `None` if stdin is not a terminal, or controls other processes, or if this group has no id here because it is of
    /// another PID namespace.
    pub fn on_stdin() -> Option<Self> {
        let terminal = Self { ours: Pid::from_raw(getpgrp().as_raw())? };
        terminal.foreground().map(|_| terminal)
    }

    fn foreground(&self) -> Option<Pid> {
        tcgetpgrp(stdin()).ok()
    }

    /// Whether a group is in the foreground.
    pub fn is_with(&self, group: Pid) -> bool {
        self.foreground() == Some(group)
    }

    /// Moves a group to the foreground, if ours is there now.
    pub fn give(&self, group: Pid) {
        if self.is_ours()
            && let Err(error) = tcsetpgrp(stdin(), group)
        {
            tracing::warn!("the command cannot have the terminal: {error}");
        }
    }

    /// Moves our group to the foreground, if `from` is there now. `from` must exist.
    ///
    /// SIGTTOU stops a process that does this from the background, unless the process blocks the signal, which safe
    /// code cannot. So a process in the foreground does it: this program, started in that group.
    pub fn take_back(&self, from: Pid) {
        if !self.is_with(from) {
            return;
        }
        let mut process = Command::new(this_program());
        process.arg0(FOREGROUND).arg(self.ours.to_string());
        process.process_group(from.as_raw_pid()).stdout(Stdio::null()).stderr(Stdio::null());
        if let Err(error) = process.status() {
            tracing::warn!("the terminal stays with the command: {error}");
        }
    }

    /// Moves a group that starts to the foreground, if ours is there now, unless it writes into a pipe: the reader, in
    /// our group, may be a pager that needs the terminal.
    pub fn give_at_start(&self, group: Pid) {
        if stdout().is_terminal() {
            self.give(group);
        }
    }

    /// Whether our group is in the foreground.
    pub fn is_ours(&self) -> bool {
        self.is_with(self.ours)
    }
}

/// Whether a shell can continue this process after it was stopped. No shell can if this process began the session.
pub fn has_shell() -> bool {
    getsid(None).is_ok_and(|session| session != unistd::getpid())
}

/// Stops this process until a shell continues it.
pub fn stop() {
    if has_shell()
        && let Err(error) = kill_process(getpid(), Signal::STOP)
    {
        tracing::warn!("this process cannot be stopped: {error}");
    }
}

/// The program of this process, even after an update has replaced its file.
fn this_program() -> PathBuf {
    let link = PathBuf::from("/proc/self/exe");
    if link.exists() { link } else { env::current_exe().unwrap_or(link) }
}

/// Moves the given group to the foreground, if this process was started under the name for that.
pub fn foreground(mut words: impl Iterator<Item = OsString>) -> Option<ExitCode> {
    if words.next()? != FOREGROUND {
        return None;
    }
    let group = words.next().and_then(|group| Pid::from_raw(group.to_str()?.parse().ok()?));
    match group.map(|group| tcsetpgrp(stdin(), group)) {
        Some(Ok(())) => Some(ExitCode::SUCCESS),
        _ => Some(ExitCode::FAILURE),
    }
}

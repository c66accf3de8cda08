//! Who reads from the terminal on stdin: its foreground process group.

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

/// The name under which this program makes a group the one in the foreground: not a command, which nobody should find.
const FOREGROUND: &str = "holdfast-foreground";

/// The terminal on stdin, which controls this process.
pub struct Terminal {
    /// The group of this process.
    ours: Pid,
}

impl Terminal {
    /// `None` if stdin is not a terminal, or controls other processes. Nor can it go to a group without an id here: one
    /// of another PID namespace.
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

    /// Makes a group the one in the foreground, if it is ours now.
    pub fn give(&self, group: Pid) {
        if self.is_ours()
            && let Err(error) = tcsetpgrp(stdin(), group)
        {
            tracing::warn!("the command cannot have the terminal: {error}");
        }
    }

    /// Makes our group the one in the foreground, if it is this one now. The group must exist.
    ///
    /// A process that asks for it from the background is stopped by SIGTTOU, unless it blocks it, which safe code
    /// cannot. So a process in the foreground does: this program, in that group.
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

    /// Makes a group that is to run at once the one in the foreground, if it is ours now. But not one that writes into
    /// a pipe: the reader, in our group, may be a pager that needs the terminal.
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

/// Whether a shell can continue this process after it was stopped: not one that began a session.
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

/// Also after an update has replaced the file.
fn this_program() -> PathBuf {
    let link = PathBuf::from("/proc/self/exe");
    if link.exists() { link } else { env::current_exe().unwrap_or(link) }
}

/// If this process was started under the name for it, with a group: makes that one the one in the foreground.
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

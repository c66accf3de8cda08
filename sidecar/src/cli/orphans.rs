//! Processes without parents that this process has adopted.

// rustix does not report which process has ended.
use nix::sys::wait::{Id, WaitPidFlag};
use rustix::process::{Pid, WaitOptions, waitpid};

/// Reaps the adopted processes that have ended. Leaves `child` to its own waiter, and stops if `child` is the next one
/// to reap.
pub fn reap(child: Option<Pid>) {
    let ended = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
    while let Ok(status) = nix::sys::wait::waitid(Id::All, ended)
        && let Some(orphan) = status.pid().and_then(|process| Pid::from_raw(process.as_raw()))
        && Some(orphan) != child
        && let Ok(Some(_)) = waitpid(Some(orphan), WaitOptions::NOHANG)
    {}
}

//! `holdfast locks`: which locks are held, by whom and for how long.
//!
//! `list.rs` prints it once. With `--watch`, `watch.rs` shows it live: `remote.rs` asks a running server, `view.rs`
//! keeps the state and `screen.rs` draws it.

mod list;
mod remote;
mod screen;
mod time;
mod view;
mod watch;

use std::process::ExitCode;

use anyhow::Result;

use super::arguments::ListLocks;

pub fn run(args: &ListLocks) -> Result<ExitCode> {
    if args.watch { watch::run(args) } else { list::run(args) }
}

//! The result of a command, on stdout.
//!
//! The standard library's own stdout passes over one that is not open for writing.

use std::{
    fs::File,
    io::{self, Write},
    os::fd::AsFd,
};

use anyhow::{Context, Result};

/// Writes to stdout.
pub fn print(text: &[u8]) -> Result<()> {
    stdout().and_then(|mut stdout| stdout.write_all(text)).context("cannot write to stdout")
}

/// Writes what clap has to say to stdout, in colour on a terminal.
pub fn print_help(help: &clap::Error) -> Result<()> {
    // Writing nothing fails if stdout is not open for writing.
    let is_open = stdout().and_then(|mut stdout| stdout.write(&[]));
    let printed = is_open.and_then(|_| help.print()).and_then(|()| io::stdout().flush());
    printed.context("cannot write to stdout")
}

fn stdout() -> io::Result<File> {
    io::stdout().as_fd().try_clone_to_owned().map(File::from)
}

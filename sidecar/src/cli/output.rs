//! The result of a command, on stdout.

use std::{
    fs::File,
    io::{self, Write},
    os::fd::AsFd,
};

use anyhow::{Context, Result};

/// Writes to stdout. The standard library's own would pass over a stdout that is not open for writing.
pub fn print(text: &[u8]) -> Result<()> {
    let stdout = io::stdout().as_fd().try_clone_to_owned().map(File::from);
    stdout.and_then(|mut stdout| stdout.write_all(text)).context("cannot write to stdout")
}

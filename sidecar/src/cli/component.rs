//! `holdfast component`.

use std::{
    fs,
    io::{self, Write},
    path::Path,
    process::ExitCode,
};

use anyhow::{Context, Result};

use super::arguments::{Component, ComponentCommand};

pub fn run(args: &Component) -> Result<ExitCode> {
    match &args.command {
        ComponentCommand::Export { file } => export(file)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn export(file: &Path) -> Result<()> {
    if file == "-" {
        let mut stdout = io::stdout().lock();
        let written = stdout.write_all(holdfast::COMPONENT).and_then(|()| stdout.flush());
        return written.context("cannot write to stdout");
    }
    fs::write(file, holdfast::COMPONENT).with_context(|| format!("cannot write {}", file.display()))
}

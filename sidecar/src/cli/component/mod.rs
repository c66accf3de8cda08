//! `holdfast component`: the lock component, and plugins that use it.
//!
//! | module | what lives there |
//! |---|---|
//! | `run` | `holdfast component run` |
//! | `compose` | `holdfast component compose` |
//! | `plugin` | a plugin in a wasmtime with locks and WASI |
//! | `file` | files that are read and written, or stdout |

mod compose;
mod file;
mod plugin;
mod run;

use std::process::ExitCode;

use anyhow::Result;

use super::arguments::{Component, ComponentCommand, Log};

pub fn run(args: &Component) -> Result<ExitCode> {
    match &args.command {
        ComponentCommand::Export { file } => file::write(file, holdfast::COMPONENT)?,
        ComponentCommand::Run(args) => return run::run(args),
        ComponentCommand::Compose(args) => compose::compose(args)?,
    }
    Ok(ExitCode::SUCCESS)
}

impl Component {
    /// The options of the log, if the command has one.
    pub fn log(&self) -> Option<&Log> {
        match &self.command {
            ComponentCommand::Run(args) => Some(&args.log),
            ComponentCommand::Export { .. } | ComponentCommand::Compose(_) => None,
        }
    }
}

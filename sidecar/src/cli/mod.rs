//! The command line: arguments, logging and exit codes, over the library.

mod arguments;
mod check;
mod component;
mod descriptors;
mod exit;
mod health;
mod listen;
mod lock;
mod logging;
mod scrape;
mod serve;
mod service_manager;
mod signals;
mod stores;
mod traces;

use std::process::ExitCode;

use clap::Parser;

use self::{
    arguments::{Cli, Command},
    exit::TROUBLE,
};

/// Runs the command that the arguments of this process name, and returns its exit code.
pub fn main() -> ExitCode {
    let (outcome, trouble) = match Cli::parse().command {
        Command::Serve(args) => (serve::run(&args), 1),
        Command::TryLock(args) => (lock::try_lock(&args), TROUBLE),
        Command::Unlock(args) => (lock::unlock(&args), TROUBLE),
        Command::Health(args) => (health::run(&args), 1),
        Command::Check(args) => (check::run(&args), TROUBLE),
        Command::Component(args) => (component::run(&args), TROUBLE),
    };
    outcome.unwrap_or_else(|error| {
        eprintln!("holdfast: {error:#}");
        ExitCode::from(trouble)
    })
}

//! The command `holdfast`: a server of locks, and single calls from the shell.
//!
//! A thin user of the library: arguments, logging and exit codes live here, and nothing else.

mod check;
mod cli;
mod component;
mod health;
mod listen;
mod lock;
mod logging;
mod metrics;
mod serve;
mod service_manager;
mod signals;
mod stores;
mod traces;

use std::process::ExitCode;

use clap::Parser;

use cli::{Cli, Command};

/// What a command that has a yes and a no exits with when it can say neither.
const TROUBLE: u8 = 2;

fn main() -> ExitCode {
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

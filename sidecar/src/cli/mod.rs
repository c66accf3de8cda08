//! The command line: arguments, logging and exit codes, over the library.

mod application;
mod arguments;
mod check;
mod component;
pub mod daprd;
mod descriptors;
mod exit;
mod health;
mod limits;
mod listen;
mod lock;
mod logging;
mod manual;
mod parse;
mod scrape;
mod serve;
mod service_manager;
mod signals;
mod stores;
mod traces;
mod values;
mod warnings;
mod words;

use std::{env, process::ExitCode};

use self::{
    arguments::{Command, Log},
    exit::TROUBLE,
    parse::Parsed,
};

/// Runs the command that the arguments of this process name, and returns its exit code.
pub fn main() -> ExitCode {
    let Parsed { cli, given, ignored } =
        parse::parse(env::args_os().collect()).unwrap_or_else(|error| error.exit());
    let (outcome, trouble) = match &cli.command {
        Command::Serve(args) => (serve::run(args, &given, &ignored), 1),
        Command::TryLock(args) => (lock::try_lock(args), TROUBLE),
        Command::Unlock(args) => (lock::unlock(args), TROUBLE),
        Command::Health(args) => (health::run(args), 1),
        Command::Check(args) => (check::run(args), TROUBLE),
        Command::Component(args) => (component::run(args), TROUBLE),
        Command::Completions { shell } => (manual::completions(*shell), TROUBLE),
        Command::Man { command } => (manual::page(command), TROUBLE),
    };
    outcome.unwrap_or_else(|error| {
        match log(&cli.command).filter(|log| log.log_as_json) {
            Some(log) => logging::last(log, &format!("{error:#}")),
            None => eprintln!("holdfast: {error:#}"),
        }
        ExitCode::from(trouble)
    })
}

/// The options of the command's log, if it has one.
fn log(command: &Command) -> Option<&Log> {
    match command {
        Command::Serve(args) => Some(&args.log),
        Command::TryLock(args) => Some(&args.lock.log),
        Command::Unlock(args) => Some(&args.lock.log),
        Command::Check(args) => Some(&args.log),
        Command::Component(args) => args.log(),
        Command::Health(_) | Command::Completions { .. } | Command::Man { .. } => None,
    }
}

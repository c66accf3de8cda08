//! The command line: arguments, logging and exit codes, over the library.
//!
//! | module | contents |
//! |---|---|
//! | `arguments` | the arguments of all commands, and how they are read |
//! | `serve` | `holdfast serve`: its ports, its start and its end |
//! | `run` | `holdfast run`: a program under a lock |
//! | `lock` | `holdfast try-lock` and `holdfast unlock` |
//! | `locks` | `holdfast locks`: the table, and the live view |
//! | `check` | `holdfast check` |
//! | `health` | `holdfast health` |
//! | `component` | `holdfast component`: plugins in Wasm |
//! | `manual` | completions and man pages |
//! | `stores` | opening the stores that the arguments name |
//! | `address`, `client` | asking a running server |
//! | `zone` | IPv6 addresses with a zone |
//! | `logging`, `traces` | the log, and traces for a collector |
//! | `orphans` | processes without parents |
//! | `signals`, `exit`, `runtime` | signals, exit codes, the runtime |
//! | `argument_error` | wrong arguments that only their command finds |
//! | `naming` | errors, in words of the command line |
//! | `table`, `printable` | text for people |
//! | `output` | writing to stdout |

mod address;
mod argument_error;
mod arguments;
mod check;
mod client;
mod component;
mod exit;
mod health;
mod lock;
mod locks;
mod logging;
mod manual;
mod naming;
mod orphans;
mod output;
mod printable;
mod run;
mod runtime;
mod serve;
mod signals;
mod stores;
mod table;
mod traces;
mod zone;

pub use self::{arguments::daprd, signals::defer as defer_signals};

use std::{env, process::ExitCode};

use self::{
    argument_error::ArgumentError,
    arguments::{
        Command, Log,
        parse::{self, Parsed, Refused},
    },
    exit::{FAILURE, RUN_FAILED},
};

/// Runs the command that the arguments of this process name, and returns its exit code.
pub fn main() -> ExitCode {
    if let Some(code) = run::foreground(env::args_os()) {
        return code;
    }
    let words: Vec<_> = env::args_os().collect();
    let is = |name| words.get(1).is_some_and(|word| word == name);
    // From here on, no signal ends `serve` or `run` abruptly.
    let serving = is("serve").then(serve::attend);
    let running = is("run").then(run::attend);
    signals::unblock();
    // The code of `run` differs, so that nobody takes it for the code of the program.
    let wrong = if is("run") { RUN_FAILED } else { FAILURE };
    let Parsed { cli, given, ignored } = match parse::parse(words) {
        Ok(parsed) => parsed,
        Err(refused) => return refuse(&refused, wrong),
    };
    // `serve` and `run` must keep working even if nobody reads their log.
    let serves = matches!(&cli.command, Command::Serve(_) | Command::Run(_));
    let _lines = serves.then(logging::detach);
    let (outcome, trouble) = match &cli.command {
        Command::Serve(args) => {
            let runtime = serving.unwrap_or_else(serve::attend);
            (runtime.and_then(|runtime| serve::run(runtime, args, &given, &ignored)), 1)
        }
        Command::Run(args) => {
            let runtime = running.unwrap_or_else(run::attend);
            (runtime.and_then(|runtime| run::run(runtime, args, &given)), RUN_FAILED)
        }
        Command::TryLock(args) => (lock::try_lock(args), FAILURE),
        Command::Unlock(args) => (lock::unlock(args), FAILURE),
        Command::Health(args) => (health::run(args, &given, &ignored), 1),
        Command::Locks(args) => (locks::run(args), FAILURE),
        Command::Check(args) => (check::run(args), FAILURE),
        Command::Component(args) => (component::run(args), FAILURE),
        Command::Completions { shell } => (manual::completions(*shell), FAILURE),
        Command::Man { command } => (manual::page(command), FAILURE),
    };
    outcome.unwrap_or_else(|error| {
        logging::report(log(&cli.command), &format!("{error:#}"));
        ExitCode::from(if error.is::<ArgumentError>() { wrong } else { trouble })
    })
}

/// Prints the error about the arguments, or the output that they ask for, such as the help. `wrong` is the exit code
/// for wrong arguments.
fn refuse(refused: &Refused, wrong: u8) -> ExitCode {
    let Refused { error, log_as_json } = refused;
    if error.use_stderr() {
        if *log_as_json {
            logging::report_as_json(&without_usage(error));
        } else {
            // If this fails, no error about it could be read either.
            let _ = error.print();
        }
        return ExitCode::from(wrong);
    }
    match output::print_help(error) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            logging::report(None, &format!("{error:#}"));
            ExitCode::from(FAILURE)
        }
    }
}

/// The error, without clap's lines about the usage of the command.
fn without_usage(error: &clap::Error) -> String {
    let text = error.render().to_string();
    let text = text.strip_prefix("error: ").unwrap_or(&text);
    let ends = ["\n\nUsage:", "\n\nFor more information"];
    let end = ends.iter().filter_map(|end| text.find(end)).min();
    text[..end.unwrap_or(text.len())].trim_end().to_owned()
}

/// The options of the command's log, if it has one.
fn log(command: &Command) -> Option<&Log> {
    match command {
        Command::Serve(args) => Some(&args.log),
        Command::Run(args) => Some(&args.log),
        Command::TryLock(args) => Some(&args.lock.log),
        Command::Unlock(args) => Some(&args.lock.log),
        Command::Locks(args) => Some(&args.log),
        Command::Check(args) => Some(&args.log),
        Command::Component(args) => args.log(),
        Command::Health(_) | Command::Completions { .. } | Command::Man { .. } => None,
    }
}

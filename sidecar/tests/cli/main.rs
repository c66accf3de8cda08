//! The command line of `holdfast`.
//!
//! - `commands.rs`: `serve`, `check` and single calls.
//! - `arguments.rs`: the errors for wrong arguments.
//! - `options.rs`: the forms of options, and errors that name them.
//! - `start.rs`: the log of `serve` at its start, and signals.
//! - `listening.rs`: the addresses of `serve`.
//! - `unwritable_stdout.rs`: a stdout that cannot be written to.
//! - `sockets.rs`: Unix domain sockets.
//! - `unwritable_stderr.rs`: a stderr that cannot be written to.
//! - `log_injection.rs`: text that callers send, in the log.
//! - `broken.rs`: resource files that `check` refuses.
//! - `named_files.rs`: files that arguments and variables name.
//! - `store_warnings.rs`: warnings of `check` about a server that answers.
//! - `application.rs`: an application beside `serve`.
//! - `shutdown.rs`: a shutdown over HTTP.
//! - `manual.rs`: completions and the manual.
//! - `component/`: `component`.
//! - `run/`: `run`.
//! - `locks.rs`, `locks_watch.rs`: `locks`, and `unlock --force`.
//! - `topology.rs`: the servers that `check` finds.
//! - `health.rs`: `health`.
//! - `service_manager.rs`: the notifications of `serve` for systemd.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod application;
mod arguments;
mod broken;
mod commands;
mod component;
mod health;
mod listening;
mod locks;
mod locks_watch;
mod log_injection;
mod manual;
mod named_files;
mod options;
mod run;
mod service_manager;
mod shutdown;
mod sockets;
mod start;
mod store_warnings;
mod topology;
mod unwritable_stderr;
mod unwritable_stdout;

use std::{
    process::{Command, Output},
    thread,
    time::{Duration, Instant},
};

use holdfast_tests::{
    APP_ID, LONG,
    holdfast::{command, within},
    resources::Resources,
};

/// The program.
const HOLDFAST: &str = env!("CARGO_BIN_EXE_holdfast");

/// Runs the program to its end, on free ports unless an option or a variable sets them: the exit code, stdout and
/// stderr.
fn run(args: &[&str]) -> (i32, String, String) {
    run_in(&[], args)
}

/// As [`run`], with variables.
fn run_in(variables: &[(&str, &str)], args: &[&str]) -> (i32, String, String) {
    let mut command = command(HOLDFAST);
    command.env("DAPR_GRPC_PORT", "0").env("DAPR_METRICS_PORT", "0").env("RUST_BACKTRACE", "1");
    let output = command.envs(variables.iter().copied()).args(args).output().unwrap();
    let Output { status, stdout, stderr } = output;
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (status.code().unwrap(), text(stdout), text(stderr))
}

/// A command that works directly in the store of resource files, for [`APP_ID`].
fn in_files(resources: &Resources, words: &[&str]) -> Command {
    let mut command = command(HOLDFAST);
    command.args(words).args(["--resources-path", resources.path(), "--app-id", APP_ID]);
    command
}

/// The command, with a signal that was sent before it began: it is blocked until the program takes it.
fn signalled(command: &Command, signal: &str) -> Command {
    let block = format!("--block-signal={signal}");
    let script = format!("kill -{signal} $$; exec \"$@\"");
    within(Command::new("env"), &[&block, "sh", "-c", &script, "sh"], command)
}

/// A command to which a program and its arguments are added, which becomes the first process of a PID namespace. `None`,
/// and a word, where the system has no such namespaces for this user.
fn in_pid_namespace() -> Option<Command> {
    let unshare = || {
        let mut unshare = command("unshare");
        unshare.args(["--user", "--map-root-user", "--pid", "--mount-proc", "--kill-child"]);
        unshare
    };
    if !unshare().arg("true").status().is_ok_and(|status| status.success()) {
        holdfast_tests::skipped("PID namespace", "`unshare` fails");
        return None;
    }
    Some(unshare())
}

/// Waits until a condition holds.
fn wait_until(what: &str, condition: impl Fn() -> bool) {
    let begun = Instant::now();
    while !condition() {
        assert!(begun.elapsed() < LONG, "it does not happen: {what}");
        thread::sleep(Duration::from_millis(10));
    }
}

//! `holdfast try-lock` and `holdfast unlock` on a stock runtime: a command over the lock component.
//!
//! Built for `wasm32-wasip2` this is a component that exports `wasi:cli/run`. It takes the arguments of
//! the native commands, prints what they print and exits with what they exit with; which store is used is
//! up to the store it is composed with.
//!
//! | module | what lives there |
//! |---|---|
//! | `arguments` | what is asked |
//! | `call` | the call, and what to say of its outcome |
//! | `exit` | how a command ends |
//! | `help` | the texts of `--help` |

#![no_std]

extern crate alloc;
extern crate holdfast_abi as _;

mod arguments;
#[allow(unsafe_code, clippy::all)]
mod bindings;
mod call;
mod exit;
mod help;

use alloc::{format, string::String};

use wasip2::{
    cli::{
        environment::get_arguments, exit::exit_with_code, stderr::get_stderr, stdout::get_stdout,
    },
    exports::cli::run::Guest,
    io::streams::{OutputStream, StreamError},
};

use arguments::{Asked, Command};
use exit::Exit;

#[cfg(target_family = "wasm")]
#[allow(unsafe_code)]
mod export {
    use super::Component;
    wasip2::cli::command::export!(Component);
}

/// The command.
pub struct Component;

impl Guest for Component {
    fn run() -> Result<(), ()> {
        match run() {
            Exit::Yes => Ok(()),
            Exit::No => Err(()),
            // A result has no third case.
            Exit::Trouble => {
                exit_with_code(Exit::Trouble as u8);
                Err(())
            }
        }
    }
}

fn run() -> Exit {
    // The first is the program's own name.
    let words = get_arguments().into_iter().skip(1);
    match Asked::of(words) {
        Ok(Asked::Help(topic)) => say(help::of(topic), Exit::Yes),
        Ok(Asked::Version) => say(concat!("holdfast ", env!("CARGO_PKG_VERSION"), "\n"), Exit::Yes),
        Ok(Asked::Call(command)) => answer(&command),
        Err(problem) => complain(&problem),
    }
}

fn answer(command: &Command) -> Exit {
    match call::call(command) {
        Ok((output, exit)) => say(&output, exit),
        Err(message) => complain(&format!("holdfast: {message}\n")),
    }
}

/// Prints the answer; what nobody got is no answer.
fn say(output: &str, exit: Exit) -> Exit {
    match print(&get_stdout(), output) {
        Ok(()) => exit,
        Err(problem) => complain(&format!("holdfast: cannot write to stdout: {problem}\n")),
    }
}

fn complain(message: &str) -> Exit {
    // There is nowhere else to say that this failed.
    let _ = print(&get_stderr(), message);
    Exit::Trouble
}

fn print(stream: &OutputStream, text: &str) -> Result<(), String> {
    /// By the definition of `blocking-write-and-flush`.
    const WRITE: usize = 4096;
    for part in text.as_bytes().chunks(WRITE) {
        stream.blocking_write_and_flush(part).map_err(|problem| match problem {
            StreamError::Closed => "it is closed".into(),
            StreamError::LastOperationFailed(error) => error.to_debug_string(),
        })?;
    }
    Ok(())
}

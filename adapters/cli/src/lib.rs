//! The commands `holdfast try-lock` and `holdfast unlock` as a component, for stock runtimes.
//!
//! The component exports `wasi:cli/run` and imports the lock component. It takes the arguments of the native commands,
//! prints the same text and exits with the same codes. Its store is part of the same composition.
//!
//! | module | what lives there |
//! |---|---|
//! | `arguments` | parses the command line |
//! | `call` | calls the lock component and words its answer |
//! | `exit` | the exit codes |
//! | `help` | the help texts |

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

use arguments::{Call, Request};
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
            Exit::Done => Ok(()),
            Exit::NotDone => Err(()),
            // A result can express only the exit codes 0 and 1.
            Exit::Failed => {
                exit_with_code(Exit::Failed as u8);
                Err(())
            }
        }
    }
}

fn run() -> Exit {
    // The first argument is the program's name.
    match Request::parse(get_arguments().into_iter().skip(1)) {
        Ok(Request::Help(topic)) => print(help::text(topic), Exit::Done),
        Ok(Request::Version) => {
            print(concat!("holdfast ", env!("CARGO_PKG_VERSION"), "\n"), Exit::Done)
        }
        Ok(Request::Call(call)) => run_call(&call),
        Err(problem) => print_error(&problem),
    }
}

fn run_call(call: &Call) -> Exit {
    match call::run(call) {
        Ok((output, exit)) => print(&output, exit),
        Err(message) => print_error(&format!("holdfast: {message}\n")),
    }
}

/// Prints the output. If that fails, the exit code is the one of an error.
fn print(output: &str, exit: Exit) -> Exit {
    match write(&get_stdout(), output) {
        Ok(()) => exit,
        Err(problem) => print_error(&format!("holdfast: cannot write to stdout: {problem}\n")),
    }
}

fn print_error(message: &str) -> Exit {
    // A failure to write to stderr cannot be reported anywhere.
    let _ = write(&get_stderr(), message);
    Exit::Failed
}

fn write(stream: &OutputStream, text: &str) -> Result<(), String> {
    /// The most bytes that `blocking-write-and-flush` takes at once.
    const MAX_WRITE: usize = 4096;
    for part in text.as_bytes().chunks(MAX_WRITE) {
        stream.blocking_write_and_flush(part).map_err(|problem| match problem {
            StreamError::Closed => "it is closed".into(),
            StreamError::LastOperationFailed(error) => error.to_debug_string(),
        })?;
    }
    Ok(())
}

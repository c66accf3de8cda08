//! `cargo xtask`: the commands of this workspace. Here lives the command line and nothing else.
//!
//! - `commands.rs`: what each command runs.
//! - `setup.rs`: what every command needs first; `wasm_target.rs`, `redis.rs`: the parts of it.
//! - `sdk.rs`: the programs of the tests that use Dapr's SDKs; `plugins.rs`: the plugins of `examples/`;
//!   `languages.rs`: what both share; `wit.rs`: the WIT that plugins are built with.
//! - `debian.rs`: Debian's packages, unpacked without touching the system.
//! - `files.rs`, `run.rs`: files, and starting programs.

use std::{ffi::OsString, process::ExitCode};

use clap::{Parser, Subcommand};

mod commands;
mod debian;
mod files;
mod languages;
mod plugins;
mod redis;
mod run;
mod sdk;
mod setup;
mod wasm_target;
mod wit;

/// Sets up, builds, serves and tests Holdfast
///
/// Every command first sees to what it needs; what has to be fetched is kept below target/.
#[derive(Parser)]
#[command(bin_name = "cargo xtask", after_help = EXAMPLES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "\
Examples:
  cargo xtask serve                                   a lock on http://127.0.0.1:3500, kept in memory
  cargo xtask serve -- --resources-path ./components  the same, with the stores these files describe
  cargo xtask test                                    every test, against a real Redis
  cargo xtask test -- --package holdfast expiry       only some of them

Environment:
  HOLDFAST_WASM_TOOLCHAIN  forces the compiler of the components: `rustup` (its target wasm32-wasip2)
                           or `debian` (Debian's packages, unpacked below target/). Unset: rustup's,
                           and where that cannot be had, Debian's
  HOLDFAST_REDIS_SERVER    the redis-server the tests start, if it is not the one on PATH
  HOLDFAST_SDKS            the languages whose Dapr SDK is tested, with commas: go, java, javascript,
                           python, rust, or `none`. Unset: those whose tools are on PATH
  HOLDFAST_PLUGINS         the languages whose plugin of examples/ is tested: javascript, python, rust,
                           or `none`. Unset: those whose tools are on PATH";

#[derive(Subcommand)]
enum Command {
    /// Sees to the WebAssembly target and a C compiler; afterwards plain cargo commands work too
    Setup,
    /// Builds the lock component and the binary `holdfast` in release mode
    Build,
    /// Builds and runs `holdfast serve`
    Serve {
        /// For `holdfast serve`
        #[arg(last = true)]
        args: Vec<OsString>,
    },
    /// Runs every test, against a real redis-server
    Test {
        /// For `cargo test`
        #[arg(last = true)]
        args: Vec<OsString>,
    },
    /// Measures, and prints ratios within the run
    Bench {
        /// For the bench driver
        #[arg(last = true)]
        args: Vec<OsString>,
    },
    /// Gathers the WIT that the plugins of examples/ are built with, in target/plugins/wit
    Wit,
    /// Checks format, lints and documentation
    Check,
}

fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Setup => commands::setup(),
        Command::Build => commands::build(),
        Command::Serve { args } => commands::serve(args),
        Command::Test { args } => commands::test(args),
        Command::Bench { args } => commands::bench(args),
        Command::Wit => commands::wit(),
        Command::Check => commands::check(),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Not Debug: that would add a backtrace to a message for people.
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

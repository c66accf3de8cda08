//! `cargo xtask`: the commands of this workspace. This file holds the command line.
//!
//! - `commands/`: the commands, one a file.
//! - `programs/`: the programs and servers that tests start.
//! - `needs/`: tools that commands need from this machine, such as a compiler for WebAssembly.
//! - `crates.rs`: the packages that are published as crates.
//! - `cargo.rs`, `process.rs`, `files.rs`: cargo, other programs, and files.
//! - `progress.rs`: the progress of a long command.

use std::{ffi::OsString, process::ExitCode};

use clap::{Parser, Subcommand};

mod cargo;
mod commands;
mod crates;
mod files;
mod needs;
mod process;
mod programs;
mod progress;

/// Sets up, builds, serves and tests Holdfast
///
/// Every command first fetches what it needs and does not find. Downloads are kept below target/.
#[derive(Parser)]
#[command(bin_name = "cargo xtask", after_help = EXAMPLES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "\
Examples:
  cargo xtask serve                                   locks on http://127.0.0.1:3500, kept in memory
  cargo xtask serve -- --resources-path ./components  locks in the stores that these files define
  cargo xtask components                              target/components/holdfast-lock-http.wasm and others
  cargo xtask test                                    every test, with a real Redis
  cargo xtask test -- --package holdfast expiry       some of the tests
  cargo xtask publish --registry ghcr.io/NAME         the components and the contract, for `wkg get`

Environment:
  HOLDFAST_WASM_TOOLCHAIN  the compiler of the components: `rustup` (its target wasm32-wasip2) or
                           `debian` (Debian packages, unpacked below target/). Default: rustup, or
                           Debian if rustup cannot add the target
  HOLDFAST_REDIS_SERVER    the redis-server that tests start. Default: the one on PATH
  HOLDFAST_SDKS            the languages whose Dapr SDK is tested, separated by commas: go, java,
                           javascript, python, rust; or `none`. Default: those with tools on PATH
  HOLDFAST_HOSTS           the hosts that run the lock component in tests, separated by commas: bun,
                           deno, jco, node, python, workerd; or `none`. Default: those with tools on PATH
  HOLDFAST_SERVERS         the servers that tests start, separated by commas: chromium, envoy, nginx,
                           registry, tmux, traefik, twemproxy, valkey; or `none`. Default: those on PATH or
                           available from Debian, PyPI or the proxy of Go's modules
  HOLDFAST_CLOCKS          what sets the clocks of servers in tests: faketime; or `none`. Default:
                           faketime where Debian's packages are available
  HOLDFAST_CHECKERS        what checks custom resources of Kubernetes, and a server by its documents,
                           separated by commas: kubernetes, schemathesis; or `none`. Default: those whose
                           tools are installed
  HOLDFAST_PLUGINS         the languages whose plugin in examples/ is tested, separated by commas:
                           javascript, python, rust; or `none`. Default: those with tools on PATH";

#[derive(Subcommand)]
enum Command {
    /// Fetches the WebAssembly target; plain cargo commands work afterwards
    Setup,
    /// Builds the lock component and the binary `holdfast` in release mode
    Build,
    /// Writes the components for stock runtimes into target/components
    Components,
    /// Builds and runs `holdfast serve`
    Serve {
        /// Arguments of `holdfast serve`
        #[arg(last = true)]
        args: Vec<OsString>,
    },
    /// Runs every test, with a real redis-server
    Test {
        /// Arguments of `cargo test`
        #[arg(last = true)]
        args: Vec<OsString>,
    },
    /// Measures what Holdfast costs, and prints ratios within the run
    Bench {
        /// Arguments of the bench driver
        #[arg(last = true)]
        args: Vec<OsString>,
    },
    /// Breaks servers, networks, processes and clocks, and checks that every lock has one holder
    Faults {
        /// Runs all faults repeatedly for this long
        #[arg(long)]
        hours: Option<f64>,
        /// Arguments of the driver
        #[arg(last = true)]
        args: Vec<OsString>,
    },
    /// Fuzzes the code that reads input with libFuzzer, and checks the properties that hold for any input
    ///
    /// Needs cargo-fuzz. Inputs that reach new code and those that fail are kept in target/fuzz/.
    Fuzz {
        /// How long each target runs
        #[arg(long, default_value_t = 60)]
        seconds: u64,
        /// Adds inputs that reach new lines to tests/fuzz/corpus
        #[arg(long)]
        keep: bool,
        /// The targets; all of them by default
        targets: Vec<String>,
    },
    /// Gathers the WIT that the plugins in examples/ are built with, in target/plugins/wit
    Wit,
    /// Writes the files of a release into dist/: components, crates, a static binary, a Debian package and more
    Package,
    /// Builds programs outside the workspace that embed Holdfast: from its crates, and from its source
    Embed,
    /// Packages, and puts the components and the WIT package into an OCI registry
    ///
    /// The login comes from Docker's configuration. A version that the registry already has is left alone;
    /// if its content differs, that is an error.
    Publish {
        /// `HOST[:PORT]/NAMESPACE`; the packages become NAMESPACE/holdfast/lock and so on
        #[arg(long)]
        registry: String,
        /// Use HTTP without TLS
        #[arg(long)]
        insecure: bool,
    },
    /// Finds circles of files and folders, and dependencies that point up
    Layers,
    /// Checks format, layers, lints and documentation, and lints the files of deploy/
    Check,
}

fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Setup => commands::setup::setup(),
        Command::Build => commands::build::build(),
        Command::Components => commands::components::components().map(drop),
        Command::Serve { args } => commands::serve::serve(args),
        Command::Test { args } => commands::test::test(args),
        Command::Bench { args } => commands::bench::bench(args),
        Command::Faults { hours, args } => commands::faults::faults(hours, args),
        Command::Fuzz { seconds, keep, targets } => commands::fuzz::fuzz(seconds, keep, targets),
        Command::Wit => commands::wit::wit(),
        Command::Package => commands::package::package(),
        Command::Embed => commands::embed::embed(),
        Command::Publish { registry, insecure } => commands::publish::publish(&registry, insecure),
        Command::Layers => commands::layers::layers(),
        Command::Check => commands::check::check(),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Not Debug, which would add a backtrace.
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

//! `cargo xtask`: the commands of this workspace. Here lives the command line and nothing else.
//!
//! - `commands.rs`: what each command runs.
//! - `setup.rs`: what every command needs first; `wasm_target.rs`, `redis.rs`: the parts of it.
//! - `programs.rs`: programs that tests run; `sdk.rs`: those that use Dapr's SDKs, `hosts.rs`: those that
//!   run the lock component, `servers.rs`: other people's servers,
//!   `plugins.rs`: the plugins of `examples/`; `wit.rs`: the WIT that these are built with.
//! - `lint.rs`: linters for the files of `deploy/`.
//! - `publish.rs`: packaging and publishing.
//! - `debian.rs`: Debian's packages, unpacked without touching the system.
//! - `files.rs`, `run.rs`: files, and starting programs.

use std::{ffi::OsString, process::ExitCode};

use clap::{Parser, Subcommand};

mod commands;
mod debian;
mod files;
mod hosts;
mod lint;
mod plugins;
mod programs;
mod publish;
mod redis;
mod run;
mod sdk;
mod servers;
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
  cargo xtask components                              target/components/holdfast-lock-http.wasm and others
  cargo xtask test                                    every test, against a real Redis
  cargo xtask test -- --package holdfast expiry       only some of them
  cargo xtask publish --registry ghcr.io/NAME         the components and the contract, for `wkg get`

Environment:
  HOLDFAST_WASM_TOOLCHAIN  forces the compiler of the components: `rustup` (its target wasm32-wasip2)
                           or `debian` (Debian's packages, unpacked below target/). Unset: rustup's,
                           and where that cannot be had, Debian's
  HOLDFAST_REDIS_SERVER    the redis-server the tests start, if it is not the one on PATH
  HOLDFAST_SDKS            the languages whose Dapr SDK is tested, with commas: go, java, javascript,
                           python, rust, or `none`. Unset: those whose tools are on PATH
  HOLDFAST_HOSTS           the hosts that run the lock component in tests, with commas: node, python, or
                           `none`. Unset: those whose tools are on PATH
  HOLDFAST_SERVERS         the servers that tests start, with commas: nginx, registry, or `none`. Unset:
                           those that are on PATH or can be had from Debian
  HOLDFAST_PLUGINS         the languages whose plugin of examples/ is tested: javascript, python, rust,
                           or `none`. Unset: those whose tools are on PATH";

#[derive(Subcommand)]
enum Command {
    /// Sees to the WebAssembly target and a C compiler; afterwards plain cargo commands work too
    Setup,
    /// Builds the lock component and the binary `holdfast` in release mode
    Build,
    /// Writes the components for stock runtimes into target/components
    Components,
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
    /// Writes the components, the WIT package, their bills of materials and SHA256SUMS into dist/
    Package,
    /// Packages, and puts the components and the WIT package into an OCI registry
    ///
    /// The login is that of Docker's configuration. A version that is there already stays as it is; with
    /// another content it is an error.
    Publish {
        /// `HOST[:PORT]/NAMESPACE`; the packages are NAMESPACE/holdfast/lock and so on
        #[arg(long)]
        registry: String,
        /// Over HTTP without TLS
        #[arg(long)]
        insecure: bool,
    },
    /// Checks format, lints and documentation, and lints the files of deploy/
    Check,
}

fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Setup => commands::setup(),
        Command::Build => commands::build(),
        Command::Components => commands::components().map(drop),
        Command::Serve { args } => commands::serve(args),
        Command::Test { args } => commands::test(args),
        Command::Bench { args } => commands::bench(args),
        Command::Package => publish::package(),
        Command::Publish { registry, insecure } => publish::publish_to(&registry, insecure),
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

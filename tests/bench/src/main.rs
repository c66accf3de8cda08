//! The cost of Holdfast. Each part measures contestants in turns, and prints their ratio. Nothing is asserted.
//!
//! | module | contents |
//! |---|---|
//! | [`guest_call`] | a call through the component, warm and fresh |
//! | [`redis_locks`] | acquire and release, against the bare client |
//! | [`handover`] | handing a contended lock over, against a poller |
//! | [`servers`] | locks at several servers, against one |
//! | [`http`] | requests over sockets, against a native handler |
//! | [`served`] | the processor time of a request in the process `holdfast serve` |
//! | [`proxies`] | requests through a proxy that takes locks, against one that takes none |
//! | [`start_up`] | the time from process start to readiness |
//! | [`client`] | the clients over HTTP and gRPC |
//! | [`native`] | the lock's rules without a component, on either store |
//! | [`workload`] | the call that every contestant makes |
//! | [`rounds`] | taking turns, and the medians of the rates |
//! | [`table`] | the rows, for the terminal and for the docs |

mod client;
mod guest_call;
mod handover;
mod http;
mod native;
mod proxies;
mod redis_locks;
mod rounds;
mod served;
mod servers;
mod start_up;
mod table;
mod workload;

use std::{env, path::PathBuf, process::ExitCode, time::Duration};

use anyhow::{Context, Result};
use clap::{Parser, ValueEnum};

use crate::{rounds::Rounds, table::Table};

/// Measures what Holdfast costs, as ratios within this run
#[derive(Parser)]
#[command(name = "cargo xtask bench --")]
struct Cli {
    /// Run for a few seconds only; the figures mean little
    #[arg(long)]
    quick: bool,
    /// Measure only these parts
    #[arg(long, value_enum, value_delimiter = ',')]
    only: Vec<Part>,
    /// Another build of the program `holdfast`, to compare what a request costs it
    #[arg(long, value_name = "FILE")]
    against: Option<PathBuf>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    /// A call through the component, without I/O
    Guest,
    /// Acquire and release on Redis
    Redis,
    /// Handing a contended lock over on Redis
    Handover,
    /// Locks at several servers, against one
    Servers,
    /// HTTP at 64 connections
    Http,
    /// What a request costs the process `holdfast serve`
    Served,
    /// Requests through a proxy that takes locks
    Proxies,
    /// The time from process start to readiness
    StartUp,
}

fn main() -> ExitCode {
    match run(&Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(cli: &Cli) -> Result<()> {
    let wanted = |part| cli.only.is_empty() || cli.only.contains(&part);
    let rounds = |count, milliseconds| match cli.quick {
        true => Rounds { count: 3, length: Duration::from_millis(60) },
        false => Rounds { count, length: Duration::from_millis(milliseconds) },
    };
    let mut table = Table::default();
    if wanted(Part::Guest) {
        guest_call::measure(rounds(15, 150), &mut table)?;
    }
    if wanted(Part::Redis) {
        redis_locks::measure(rounds(15, 300), &mut table)?;
    }
    if wanted(Part::Handover) {
        handover::measure(rounds(15, 400), &mut table)?;
    }
    if wanted(Part::Servers) {
        servers::measure(rounds(15, 400), &mut table)?;
    }
    if wanted(Part::Http) {
        http::measure(rounds(15, 400), &mut table)?;
    }
    if wanted(Part::Served) {
        served::measure(rounds(9, 500), &holdfast()?, cli.against.as_deref(), &mut table)?;
    }
    if wanted(Part::Proxies) {
        proxies::measure(rounds(15, 400), &holdfast()?, &mut table)?;
    }
    if wanted(Part::StartUp) {
        start_up::measure(if cli.quick { 3 } else { 20 }, &holdfast()?, &mut table)?;
    }
    println!("\n{}", table.markdown());
    Ok(())
}

/// The program that was built along with this one.
fn holdfast() -> Result<PathBuf> {
    let this = env::current_exe().context("cannot find the running program")?;
    Ok(this.with_file_name("holdfast"))
}

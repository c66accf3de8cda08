//! Proves that a lock has one holder while servers, networks, processes and clocks fail.
//!
//! Worker processes take and release locks in real Redis servers. The driver repeatedly breaks something, looks into
//! Redis all the time, and records every call and its answer. A checker then finds violations of the lock's promises.
//!
//! | module | contents |
//! |---|---|
//! | [`history`] | the history of a run: calls, observations, and faults |
//! | [`check`] | the checker |
//! | [`worker`], [`task`] | a worker process, and its tasks |
//! | [`crew`] | the worker processes of a run |
//! | [`probe`] | looks into Redis, all the time |
//! | [`record`] | gathers a history |
//! | [`servers`] | the servers of a run: one, or several |
//! | [`view`] | the value of a key at the server that decides |
//! | [`stage`] | servers, the road to them, and their workers |
//! | [`sides`] | the roads to several servers |
//! | [`namespace`] | networks of our own, and wires that can be cut |
//! | [`fault`], [`faults`] | the faults |
//! | [`run`] | one run with one fault |
//! | [`lanes`] | many runs, several at once |
//! | [`report`] | the output |

mod check;
mod crew;
mod fault;
mod faults;
mod history;
mod lanes;
mod namespace;
mod probe;
mod record;
mod report;
mod run;
mod servers;
mod sides;
mod stage;
mod task;
mod view;
mod wires;
mod worker;

use std::{env, path::PathBuf, process::ExitCode, time::Duration};

use anyhow::{Result, bail};
use clap::{Args, Parser, Subcommand};
use holdfast_tests::clock::FAKETIME;

use crate::{
    fault::Fault,
    lanes::Lanes,
    stage::{Road, Size, Wall},
};

/// Proves that a lock has one holder while servers, networks, processes and clocks fail
///
/// Needs a redis-server: the one that HOLDFAST_REDIS_SERVER names, or the one on PATH. Clocks are set with the
/// libfaketime in the folder that HOLDFAST_CLOCK_FAKETIME names. Ends with status 1 if a promise was broken, or a
/// fault was not felt.
#[derive(Parser)]
#[command(name = "cargo xtask faults --", args_conflicts_with_subcommands = true)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    options: Options,
}

#[derive(Subcommand)]
enum Command {
    #[command(hide = true)]
    Worker(worker::Arguments),
}

#[derive(Args)]
struct Options {
    /// How long each fault is broken and mended; faults that need longer are left out [default: 10, with
    /// --hours 60]
    #[arg(long)]
    seconds: Option<u64>,
    /// Run all faults repeatedly, for this long in total
    #[arg(long)]
    hours: Option<f64>,
    /// Only this fault; can be given several times
    #[arg(long, value_name = "NAME")]
    fault: Vec<String>,
    /// Worker processes of each run
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    workers: u32,
    /// Tasks of each worker
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u32).range(1..))]
    tasks: u32,
    /// Keys of each run
    #[arg(long, default_value_t = 20)]
    keys: usize,
    /// How many faults run at once, each with servers and workers of its own
    #[arg(long, default_value_t = 4)]
    lanes: usize,
    /// What all choices depend on [default: chosen at random]
    #[arg(long)]
    seed: Option<u64>,
    /// Write the histories of runs with violations into this directory
    #[arg(long, value_name = "DIR")]
    history: Option<PathBuf>,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let result = match &cli.command {
        Some(Command::Worker(arguments)) => worker::work(arguments).map(|()| true),
        None => drive(&cli.options),
    };
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("faults: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn drive(options: &Options) -> Result<bool> {
    let seconds = options.seconds.unwrap_or(if options.hours.is_some() { 60 } else { 10 });
    let mut faults = chosen(&options.fault, seconds)?;
    // The driver restarts in the namespace, so nothing may be printed before.
    if let Err(why) = namespace::enter() {
        let inside = [Road::Namespace, Road::Wires];
        leave_out(&mut faults, &format!("{why:#}"), |fault| inside.contains(&fault.road));
    }
    if env::var_os(FAKETIME).is_none() {
        let why = format!("{FAKETIME} names no folder with libfaketime");
        leave_out(&mut faults, &why, |fault| fault.wall != Wall::Nobody);
    }
    if options.fault.is_empty() {
        for fault in faults::all().iter().filter(|fault| fault.needs > seconds) {
            println!("{}: left out: needs --seconds {}", fault.name, fault.needs);
        }
    }
    let seed = options.seed.unwrap_or_else(|| fastrand::u64(..));
    println!("--seed {seed}");
    let Options { workers, tasks, keys, .. } = *options;
    Lanes {
        faults,
        length: Duration::from_secs(seconds),
        total: options.hours.map(|hours| Duration::from_secs_f64(hours.max(0.0) * 3_600.0)),
        count: options.lanes.max(1),
        size: Size { workers, tasks, keys: keys.max(1) },
        seed,
        history: options.history.clone(),
    }
    .run()
}

/// Takes some faults out of the list, and says why.
fn leave_out(faults: &mut Vec<Fault>, why: &str, which: impl Fn(&Fault) -> bool) {
    for fault in faults.extract_if(.., |fault| which(fault)) {
        println!("{}: left out: {why}", fault.name);
    }
}

/// The faults with these names, or all that fit.
fn chosen(names: &[String], seconds: u64) -> Result<Vec<Fault>> {
    let all = faults::all();
    if names.is_empty() {
        return Ok(all.into_iter().filter(|fault| fault.needs <= seconds).collect());
    }
    for name in names {
        if !all.iter().any(|fault| fault.name == name) {
            let known: Vec<_> = all.iter().map(|fault| fault.name).collect();
            bail!("no fault is called {name}; there are {}", known.join(", "));
        }
    }
    let named = |fault: &Fault| names.iter().any(|name| name == fault.name);
    Ok(all.into_iter().filter(named).collect())
}

//! What Holdfast costs: each figure is measured next to what it is compared with, in turns, and
//! printed as the ratio of the two. Nothing is asserted.
//!
//! | module | what lives there |
//! |---|---|
//! | [`rounds`] | taking turns, and the medians of what came of it |
//! | [`table`] | the rows, for the terminal and for the README |
//! | [`native`] | the lock's rules without a component, over either store |
//! | [`guest_call`] | one call through a component, warm and fresh |
//! | [`redis_locks`] | acquire and release against the bare client |
//! | [`http`] | requests over sockets against a native handler |
//! | [`start_up`] | from the process's start to its first healthy answer |

mod guest_call;
mod http;
mod native;
mod redis_locks;
mod rounds;
mod start_up;
mod table;

use std::{process::ExitCode, time::Duration};

use anyhow::Result;
use clap::{Parser, ValueEnum};

use crate::{rounds::Rounds, table::Table};

/// What all contestants call their one store, and whose locks they take.
const STORE_NAME: &str = "lockstore";
const APP_ID: &str = "app1";
const OWNER: &str = "random_id_abc123";

/// The body of a request: try-lock's, which is also good for unlock.
fn lock_body(resource_id: &str, lock_owner: &str) -> String {
    format!(r#"{{"resourceId":"{resource_id}","lockOwner":"{lock_owner}","expiryInSeconds":60}}"#)
}

/// Measures what Holdfast costs, as ratios within this run
#[derive(Parser)]
#[command(name = "cargo xtask bench --")]
struct Cli {
    /// A smoke run of some seconds, whose figures mean little
    #[arg(long)]
    quick: bool,
    /// Only these parts
    #[arg(long, value_enum, value_delimiter = ',')]
    only: Vec<Part>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    /// A call through the component, without I/O
    Guest,
    /// Acquire and release on Redis
    Redis,
    /// HTTP at 64 connections
    Http,
    /// From the process's start to readiness
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
    if wanted(Part::Http) {
        http::measure(rounds(15, 400), &mut table)?;
    }
    if wanted(Part::StartUp) {
        start_up::measure(if cli.quick { 3 } else { 20 }, &mut table)?;
    }
    println!("\n{}", table.markdown());
    Ok(())
}

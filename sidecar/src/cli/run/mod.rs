//! `holdfast run`: a program that runs while a lock is held.
//!
//! | file | what lives there |
//! |---|---|
//! | `holding.rs` | the two ways to a lock, and a lock that is held |
//! | `local.rs` | the way to the store itself |
//! | `remote.rs` | the way over the HTTP API of a running server |
//! | `problem.rs` | hints for a lock that cannot be taken |
//! | `command.rs` | the program: a process group |
//! | `terminal.rs` | the foreground process group of the terminal |
//! | `signals.rs` | the signals that are passed on to the program |

mod command;
mod holding;
mod local;
mod problem;
mod remote;
mod signals;
mod terminal;

use std::{convert::Infallible, future::pending, process::ExitCode, time::Duration};

use anyhow::Result;
use holdfast::Lost;
use rustix::process::Signal;
use tokio::time::{error::Elapsed, sleep, timeout};
use uuid::Uuid;

pub use self::terminal::foreground;
use self::{
    command::Command,
    holding::{Holding, Way},
    signals::Signals,
};
use super::{
    arguments::{LogLevel, RunLocked, parse::Given},
    exit, logging,
    runtime::runtime,
    signals::{APART, SignalRuntime},
};

/// What to do with the lock at the end.
enum Fate {
    /// It is released.
    Release,
    /// It is released in case it is held: still, or again through an extend whose answer was lost.
    ReleaseIfHeld,
    /// It is not released.
    Leave,
}

/// Receives signals from now on: no signal ends this process while it has a lock to give back.
pub fn attend() -> Result<SignalRuntime<Signals>> {
    SignalRuntime::new(runtime()?, Signals::new)
}

/// Runs the program, and returns its exit code, or the code that says why it did not run to its end.
pub fn run(
    signal_runtime: SignalRuntime<Signals>,
    args: &RunLocked,
    given: &Given,
) -> Result<ExitCode> {
    logging::start(&args.log, LogLevel::Warn, None);
    let SignalRuntime { runtime, signals } = signal_runtime;
    let code = runtime.block_on(run_locked(args, given, signals));
    // A thread may still look up the name of a host.
    runtime.shutdown_background();
    code.map(ExitCode::from)
}

async fn run_locked(args: &RunLocked, given: &Given, mut signals: Signals) -> Result<u8> {
    let owner = args.owner.clone().unwrap_or_else(|| Uuid::new_v4().to_string());
    let way = tokio::select! {
        biased;
        signal = signals.end() => return Ok(exit::by_signal(signal.as_raw())),
        way = Way::open(args, given) => way?,
    };
    let held = tokio::select! {
        biased;
        signal = signals.end() => Err(signal),
        held = way.hold(args, &owner) => Ok(held),
    };
    let code = match held {
        Ok(Ok(Some(holding))) => Ok(work(args, holding, &owner, &mut signals).await),
        Ok(Ok(None)) => {
            logging::report(Some(&args.log), &not_acquired(args));
            Ok(exit::NOT_ACQUIRED)
        }
        Ok(Err(error)) => Err(error),
        Err(signal) => {
            unless_signalled(&mut signals, way.leave(args, &owner)).await;
            Ok(exit::by_signal(signal.as_raw()))
        }
    };
    unless_signalled(&mut signals, way.close()).await;
    code
}

fn not_acquired(args: &RunLocked) -> String {
    let RunLocked { resource, wait, .. } = args;
    match wait.is_zero() {
        true => format!("{resource} is held by another owner"),
        false => {
            format!("{resource} is held by another owner, and was not free within --wait {wait:?}")
        }
    }
}

/// Runs the program under the lock, and releases the lock once nobody works under it.
async fn work(args: &RunLocked, holding: Holding, owner: &str, signals: &mut Signals) -> u8 {
    let variables = [
        ("HOLDFAST_RESOURCE", Some(args.resource.clone())),
        ("HOLDFAST_OWNER", Some(owner.to_owned())),
        // Removed if there is no fencing token, so that the program does not get that of an outer lock.
        ("HOLDFAST_FENCING_TOKEN", holding.fencing_token().map(|number| number.to_string())),
    ];
    let (code, fate) = match Command::start(&args.command, variables) {
        Ok(mut command) => supervise(args, &holding, &mut command, signals).await,
        Err((code, why)) => {
            logging::report(Some(&args.log), &why);
            (code, Fate::Release)
        }
    };
    match fate {
        Fate::Release => release(args, holding, signals).await,
        Fate::ReleaseIfHeld => {
            unless_signalled(signals, holding.release_if_held()).await;
        }
        Fate::Leave => holding.leave(),
    }
    code
}

async fn release(args: &RunLocked, holding: Holding, signals: &mut Signals) {
    match unless_signalled(signals, holding.release()).await {
        Some(Ok(())) => {}
        Some(Err(problem)) => tracing::warn!("{}: {problem}", args.resource),
        None => {
            tracing::warn!("{}: could not release the lock, which expires by itself", args.resource)
        }
    }
}

/// Passes signals on to the program until it ends, and ends it if the lock is lost or held too long. Returns the exit
/// code, and what to do with the lock.
async fn supervise(
    args: &RunLocked,
    holding: &Holding,
    command: &mut Command,
    signals: &mut Signals,
) -> (u8, Fate) {
    let longest = after(args.max_hold);
    tokio::pin!(longest);
    let (code, why, lost) = loop {
        tokio::select! {
            biased;
            lost = holding.lost() => {
                break (exit::LOST, format!("the lock is lost: {lost}"), Some(lost));
            }
            code = command.ended() => return (code, Fate::Release),
            () = &mut longest => {
                let why = "the lock was held for as long as --max-hold allows".to_owned();
                break (exit::HELD_TOO_LONG, why, None);
            }
            signal = signals.next() => command.pass_on(signal),
        }
    };
    let RunLocked { resource, log, grace, .. } = args;
    logging::report(Some(log), &format!("{resource}: {why}; ending {}", command.name()));
    // After --max-hold the lock is renewed until nobody works under it.
    let ended = command.end(*grace, signals).await;
    let fate = match lost {
        None if ended => Fate::Release,
        None => outlast(args, holding, command, signals).await,
        Some(_) if !ended => {
            let name = command.name();
            tracing::error!("{resource}: {name} cannot be killed, and goes on without the lock");
            Fate::Leave
        }
        // A release would end a newer lock of the same owner.
        Some(Lost::Gone | Lost::HeldByOther) => Fate::Leave,
        Some(_) => Fate::ReleaseIfHeld,
    };
    (code, fate)
}

/// Holds the lock for a program that cannot be killed, until it has ended after all. The loss of the lock and a second
/// signal end that earlier.
async fn outlast(
    args: &RunLocked,
    holding: &Holding,
    command: &mut Command,
    signals: &mut Signals,
) -> Fate {
    let RunLocked { resource, log, .. } = args;
    let name = command.name().to_owned();
    tracing::error!("{resource}: {name} cannot be killed: the lock is held until it ends");
    let ended = async {
        if command.ended_unsignalled(signals).await {
            return true;
        }
        tracing::error!(
            "{resource}: {name} cannot be killed: another signal ends holdfast, and the lock then expires"
        );
        unless_signalled(signals, command.ended()).await.is_some()
    };
    let why = tokio::select! {
        biased;
        lost = holding.lost() => format!("the lock is lost: {lost}"),
        ended = ended => match ended {
            true => return Fate::Release,
            false => "the lock is not released, and expires by itself".to_owned(),
        },
    };
    logging::report(Some(log), &format!("{resource}: {why}; {name} goes on"));
    Fate::Leave
}

async fn after(time: Option<Duration>) {
    match time {
        Some(time) => sleep(time).await,
        None => pending().await,
    }
}

/// Runs the work; `None` if a signal ends the process first.
async fn unless_signalled<T>(signals: &mut Signals, work: impl Future<Output = T>) -> Option<T> {
    tokio::select! {
        done = work => Some(done),
        _signal = later(async || signals.end().await) => None,
    }
}

/// Waits for a signal that comes later than [`APART`]: the same signal may be sent twice, to the group of this process
/// and to each process in it.
async fn later(mut signal: impl AsyncFnMut() -> Signal) -> Signal {
    let earlier = async {
        loop {
            signal().await;
        }
    };
    let _: Result<Infallible, Elapsed> = timeout(APART, earlier).await;
    signal().await
}

#[cfg(test)]
mod tests {
    use tokio::{
        sync::mpsc,
        time::{Instant, sleep_until},
    };

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_signal_of_the_first_second_ends_nothing() {
        let (send, mut receive) = mpsc::unbounded_channel();
        let begun = Instant::now();
        tokio::spawn(async move {
            for after in [0, 1, 999, 5000] {
                sleep_until(begun + Duration::from_millis(after)).await;
                send.send(Signal::TERM).unwrap();
            }
        });
        assert_eq!(later(async || receive.recv().await.unwrap()).await, Signal::TERM);
        assert_eq!(begun.elapsed(), Duration::from_secs(5));
    }
}

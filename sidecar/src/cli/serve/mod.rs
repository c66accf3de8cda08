//! `holdfast serve`: from its arguments to a server, and to the end of both.
//!
//! | module | what lives there |
//! |---|---|
//! | `start` | from the arguments to the stores and the addresses |
//! | `ports`, `listen`, `socket_file` | the addresses: which there are, binding them, files of Unix domain sockets |
//! | `bound_addresses` | addresses and ports that are used twice |
//! | `unused_options` | options and variables without an effect |
//! | `limits`, `descriptors` | the limits of connections and calls, and how open files are divided |
//! | `token` | the tokens that callers must send |
//! | `scrape` | the page of metrics |
//! | `application` | the application that `serve` starts beside itself |
//! | `service_manager` | notifications for systemd |

mod application;
mod bound_addresses;
mod descriptors;
mod limits;
pub mod listen;
mod ports;
mod scrape;
mod service_manager;
mod socket_file;
mod start;
mod token;
mod unused_options;

use std::{
    cell::Cell,
    future::pending,
    mem::take,
    process::ExitCode,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use futures_util::FutureExt;
use holdfast::Locks;
use tokio::{
    runtime::{Handle, Runtime},
    time::timeout,
};
use tokio_util::sync::CancellationToken;
use tracing_subscriber::Layer;

use self::{
    application::{Application, End},
    listen::Listening,
    ports::Ports,
    scrape::Scrape,
    start::{Ready, start},
    token::{ADMIN_TOKEN, API_TOKEN, token},
};
use super::{
    arguments::{LogLevel, Serve, parse::Given},
    logging,
    signals::{Requests, SignalRuntime, Signals},
    traces::Traces,
};
use crate::{admin, grpc, http, requests::intake::BodyLimits, server::Server, sidecar::Sidecar};

/// The least time that the stores have to give back the locks of calls that the shutdown cut off.
const LAST: Duration = Duration::from_secs(1);

/// Receives signals from now on, which end the server in order or have no effect.
pub fn attend() -> Result<SignalRuntime<Signals>> {
    SignalRuntime::new(Runtime::new().context("cannot start the runtime")?, Signals::new)
}

pub fn run(
    signal_runtime: SignalRuntime<Signals>,
    args: &Serve,
    given: &Given,
    ignored: &[String],
) -> Result<ExitCode> {
    let SignalRuntime { runtime, mut signals } = signal_runtime;
    let outcome = runtime.block_on(async {
        let traces = tokio::select! {
            traces = traces(args) => Some(traces?),
            () = signals.end() => None,
        };
        let layer = traces.iter().flatten().map(|traces| traces.layer().boxed()).next();
        logging::start(&args.log, LogLevel::Info, layer);
        let Some(traces) = traces else { return Ok(ended()) };
        for line in ignored.iter().chain(&unused_options::warnings(args, given)) {
            tracing::warn!("{line}");
        }
        serve(args, given, traces, signals).await
    });
    // Tasks that still run were asked to end at once.
    runtime.shutdown_background();
    outcome
}

/// Starts to send traces. It may read a file, which may take long.
async fn traces(args: &Serve) -> Result<Option<Traces>> {
    let (app_id, runtime) = (args.stores.app_id.clone(), Handle::current());
    tokio::task::spawn_blocking(move || Traces::start(&app_id, &runtime)).await?
}

/// A signal came before the server was ready.
fn ended() -> ExitCode {
    tracing::info!("a signal ended the start");
    ExitCode::SUCCESS
}

async fn serve(
    args: &Serve,
    given: &Given,
    traces: Option<Traces>,
    mut signals: Signals,
) -> Result<ExitCode> {
    let mut ready = tokio::select! {
        ready = start(args, given) => ready?,
        () = signals.next() => return Ok(ended()),
    };
    if let Some(traces) = &traces {
        traces.announce();
    }
    ready.ports.announce(args.ui);
    let sidecar = sidecar(args, &mut ready)?;
    let server = server(args, &sidecar, &mut ready)?;
    let environment = environment(args, &ready.ports);
    let mut application = Application::start(&args.command, environment, ready.open_files)?;
    service_manager::ready();

    let ending = CancellationToken::new();
    let grace = Duration::from_secs(args.dapr_graceful_shutdown_seconds);
    let serving = answer(server, ending.clone(), grace, &ready.locks, traces);
    let code = Cell::new(ExitCode::SUCCESS);
    let at_once = async {
        let mut requests = Requests::default();
        let begun = service_manager::stopping;
        let end = application.end(&mut signals, &mut requests, sidecar.shutdown(), begun);
        let by_signal = match end.await {
            End::InOrder { code: ended, by_signal } => {
                code.set(ended);
                by_signal
            }
            End::AtOnce { code } => return code,
        };
        // As in daprd, where only a signal is followed by that time, which is over when the application has ended
        // (`pkg/runtime/runtime.go`, `Run`).
        let blocks = by_signal && args.command.is_empty();
        let block = if blocks { args.dapr_block_shutdown_duration } else { Duration::ZERO };
        let shutdown = async {
            shut_down(block, &sidecar, &ready.locks).await;
            ending.cancel();
            pending().await
        };
        tokio::select! {
            code = shutdown => code,
            () = signals.second(&mut requests) => match args.command.is_empty() {
                true => ExitCode::FAILURE,
                false => code.get(),
            },
        }
    };
    tokio::select! {
        () = serving => Ok(code.get()),
        code = at_once => {
            tracing::warn!("a second signal ended the shutdown at once");
            Ok(code)
        }
    }
}

/// The sidecar that all APIs serve.
fn sidecar(args: &Serve, ready: &mut Ready) -> Result<Sidecar> {
    let sidecar = Sidecar::with_body_limits(
        ready.locks.clone(),
        &args.stores.app_id,
        take(&mut ready.components),
        token(API_TOKEN)?.as_deref(),
        BodyLimits::default().memory((args.server.max_body_memory as usize) << 20),
    )
    .max_holds(ready.server_limits.holds())
    .edge_locks(take(&mut ready.edge_locks));
    if let Some(warning) = &ready.warning {
        sidecar.metadata().warn(warning);
    }
    Ok(sidecar)
}

/// The server, with an API on each of its ports.
fn server(args: &Serve, sidecar: &Sidecar, ready: &mut Ready) -> Result<Server> {
    let Ready { locks, ports, recorder, .. } = ready;
    let holds_locks = {
        let locks = locks.clone();
        move || locks.holds_locks()
    };
    let mut server = Server::new(sidecar.readiness().clone())
        .limits(ready.server_limits.clone())
        .lingers_while(holds_locks)
        .last_call(sidecar.last_call().clone())
        .last_word(sidecar.last_word().clone())
        .http(http::Api::new(sidecar.clone()), take(&mut ports.http.listeners))
        .grpc(grpc::Api::new(sidecar.clone())?, take(&mut ports.grpc.listeners));
    if let Some(public) = &mut ports.public {
        server = server.auxiliary(
            "public",
            http::Api::public(sidecar.clone()),
            take(&mut public.listeners),
        );
    }
    if let (Some(recorder), Some(metrics)) = (recorder.take(), &mut ports.metrics) {
        let scrape = Scrape::new(recorder, locks.clone());
        server = server.auxiliary("metrics", scrape, take(&mut metrics.listeners));
    }
    if let Some(admin) = &mut ports.admin {
        let api = admin::Api::new(sidecar.clone(), token(ADMIN_TOKEN)?.as_deref());
        let api = if args.ui { api.with_page() } else { api };
        server = server.auxiliary("admin", api, take(&mut admin.listeners));
    }
    Ok(server)
}

/// The variables for the application that is started beside the server.
fn environment(args: &Serve, ports: &Ports<Listening>) -> Vec<(&'static str, String)> {
    application::environment(&args.stores.app_id, [&ports.http, &ports.grpc])
}

/// Serves until `ending`, finishes requests in flight within `grace`, and closes the stores.
async fn answer(
    server: Server,
    ending: CancellationToken,
    grace: Duration,
    locks: &Locks,
    traces: Option<Traces>,
) {
    let shutdown = async {
        ending.cancelled().await;
        Instant::now()
    };
    let shutdown = shutdown.shared();
    server.serve(shutdown.clone().map(drop), grace).await;
    let begun = shutdown.await;
    let left = || grace.saturating_sub(begun.elapsed());
    if timeout(left().max(LAST), locks.close()).await.is_err() {
        tracing::warn!("the shutdown no longer waits for a store that does not answer");
    }
    flush(traces, left()).await;
}

/// Serves for `block` more, or until a caller asks for the shutdown, as a server that is about to end. Then ends what
/// callers wait for.
async fn shut_down(block: Duration, sidecar: &Sidecar, locks: &Locks) {
    if !block.is_zero() {
        tracing::info!("the shutdown begins in {block:?}; serving until then");
        sidecar.readiness().set_ending();
        tokio::select! {
            () = tokio::time::sleep(block) => {}
            () = sidecar.shutdown().cancelled() => application::note_request(),
        }
    }
    tracing::info!("shutting down");
    sidecar.ending().cancel();
    locks.end_waits();
}

/// Sends the remaining traces, within the remaining time.
async fn flush(traces: Option<Traces>, left: Duration) {
    if let Some(traces) = traces {
        // It only fails if the runtime ends.
        let _ = tokio::task::spawn_blocking(move || traces.flush(left)).await;
    }
}

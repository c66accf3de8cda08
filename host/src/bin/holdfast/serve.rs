//! `holdfast serve`.

use std::{env, process::ExitCode, time::Duration};

use anyhow::{Context, Result};
use holdfast::{
    Limits, Locks,
    http::{Api, ComponentInfo, Server},
    open::{OpenStore, default_store},
};
use tokio::{net::TcpListener, runtime::Runtime};
use tokio_util::sync::CancellationToken;

use crate::{
    cli::{self, LogLevel, Serve, Stores},
    listen::Bound,
    logging,
    signals::Signals,
    stores,
};

/// All that is needed to serve.
struct Ready {
    locks: Locks,
    components: Vec<ComponentInfo>,
    listeners: Vec<TcpListener>,
}

pub fn run(args: &Serve) -> Result<ExitCode> {
    logging::start(&args.log, LogLevel::Info);
    let runtime = Runtime::new().context("cannot start the runtime")?;
    runtime.block_on(serve(args))
}

async fn serve(args: &Serve) -> Result<ExitCode> {
    let mut signals = Signals::new().context("cannot watch for signals")?;
    let ready = tokio::select! {
        ready = start(args) => ready?,
        () = signals.next() => {
            tracing::info!("asked to end before it was ready");
            return Ok(ExitCode::SUCCESS);
        }
    };

    let token = env::var("DAPR_API_TOKEN").ok();
    let Ready { locks, components, listeners } = ready;
    for listener in &listeners {
        tracing::info!("listening on http://{}", listener.local_addr()?);
    }
    let api = Api::new(locks.clone(), &args.stores.app_id, components, token.as_deref());
    let server = Server::new(api, listeners);

    let ending = CancellationToken::new();
    let grace = Duration::from_secs(args.dapr_graceful_shutdown_seconds);
    let serving = async {
        server.serve(ending.cancelled(), grace).await;
        locks.close().await;
    };
    let second_signal = async {
        signals.next().await;
        tracing::info!("shutting down");
        ending.cancel();
        signals.next().await;
    };
    tokio::select! {
        () = serving => Ok(ExitCode::SUCCESS),
        () = second_signal => {
            tracing::warn!("ended at once, as asked a second time");
            Ok(ExitCode::FAILURE)
        }
    }
}

/// Takes the port first, so that a port in use is known before any store is opened, and listens
/// last, so that nobody connects who cannot be answered.
async fn start(args: &Serve) -> Result<Ready> {
    let bound = Bound::new(&args.dapr_listen_addresses, args.dapr_http_port).await?;
    let stores = open(&args.stores).await?;
    let locks = stores::locks(&args.stores.app_id, &stores, limits(&args.limits))?;
    let components = stores.into_iter().map(info).collect();
    Ok(Ready { locks, components, listeners: bound.listen()? })
}

async fn open(args: &Stores) -> Result<Vec<OpenStore>> {
    if args.resources_path.is_empty() {
        let store = default_store();
        tracing::info!(
            "no --resources-path is given: serving the store {} of type {}, whose locks are gone \
             with this process",
            store.name,
            store.component_type,
        );
        return Ok(vec![store]);
    }
    let stores = stores::open_all(args).await?;
    for store in &stores {
        tracing::info!("serving the store {} of type {}", store.name, store.component_type);
    }
    if stores.is_empty() {
        tracing::warn!("there is no lock store in the component files");
    }
    Ok(stores)
}

fn info(store: OpenStore) -> ComponentInfo {
    ComponentInfo { name: store.name, component_type: store.component_type, version: store.version }
}

fn limits(given: &cli::Limits) -> Limits {
    let mut limits = Limits::default();
    if let Some(instances) = given.guest_instances {
        limits.instances = instances;
        limits.warm_instances = limits.warm_instances.min(instances);
    }
    if let Some(warm) = given.guest_warm_instances {
        limits.warm_instances = warm;
    }
    if let Some(mebibytes) = given.guest_memory {
        limits.instance_memory = mebibytes.get().saturating_mul(1 << 20);
    }
    if let Some(milliseconds) = given.guest_step_deadline {
        limits.step_deadline = Duration::from_millis(milliseconds);
    }
    if let Some(in_flight) = given.max_in_flight {
        limits.in_flight = in_flight;
    }
    if let Some(waiting) = given.max_waiting {
        limits.waiting = waiting;
    }
    limits
}

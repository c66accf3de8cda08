//! `holdfast serve`.

use std::{
    env,
    mem::take,
    process::ExitCode,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use futures_util::FutureExt;
use holdfast::{
    Limits, Locks,
    resources::{OpenStore, Opened},
};
use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;
use tracing_subscriber::Layer;

use super::{
    arguments::{self, LogLevel, Serve},
    descriptors,
    listen::{Bound, Listening},
    logging,
    scrape::{Recorder, Scrape},
    service_manager,
    signals::Signals,
    stores,
    traces::Traces,
};
use crate::{
    grpc, http,
    intake::BodyLimits,
    metadata::ComponentInfo,
    server::{self, Server},
    sidecar::Sidecar,
};

/// What is needed to serve.
struct Ready {
    locks: Locks,
    components: Vec<ComponentInfo>,
    recorder: Option<Recorder>,
    doors: Doors<Listening>,
    server_limits: server::Limits,
}

/// The addresses of the server: bound at first, then listening.
struct Doors<T> {
    http: T,
    grpc: T,
    public: Option<T>,
    metrics: Option<T>,
}

pub fn run(args: &Serve) -> Result<ExitCode> {
    let runtime = Runtime::new().context("cannot start the runtime")?;
    let traces = Traces::start(&args.stores.app_id, runtime.handle())?;
    logging::start(&args.log, LogLevel::Info, traces.as_ref().map(|traces| traces.layer().boxed()));
    let outcome = runtime.block_on(serve(args, traces));
    // Tasks that still run were asked to end at once.
    runtime.shutdown_background();
    outcome
}

async fn serve(args: &Serve, traces: Option<Traces>) -> Result<ExitCode> {
    let mut signals = Signals::new().context("cannot watch for signals")?;
    let ready = tokio::select! {
        ready = start(args) => ready?,
        () = signals.next() => {
            tracing::info!("a signal ended the start");
            return Ok(ExitCode::SUCCESS);
        }
    };

    let token = env::var("DAPR_API_TOKEN").ok();
    let Ready { locks, components, recorder, mut doors, server_limits } = ready;
    if let Some(traces) = &traces {
        traces.announce();
    }
    doors.announce();
    let sidecar = Sidecar::with_body_limits(
        locks.clone(),
        &args.stores.app_id,
        components,
        token.as_deref(),
        BodyLimits::default().memory((args.server.max_body_memory as usize) << 20),
    );
    let readiness = sidecar.readiness().clone();
    let are_held = {
        let locks = locks.clone();
        move || locks.are_held()
    };
    let mut server = Server::new(readiness.clone())
        .limits(server_limits)
        .lingers_while(are_held)
        .http(http::Api::new(sidecar.clone()), take(&mut doors.http.listeners))
        .grpc(grpc::Api::new(sidecar.clone())?, take(&mut doors.grpc.listeners));
    if let Some(public) = &mut doors.public {
        server = server.watched(http::Api::public(sidecar), take(&mut public.listeners));
    }
    if let (Some(recorder), Some(metrics)) = (recorder, &mut doors.metrics) {
        let scrape = Scrape::new(recorder, locks.clone());
        server = server.watched(scrape, take(&mut metrics.listeners));
    }

    service_manager::ready();
    let ending = CancellationToken::new();
    let grace = Duration::from_secs(args.dapr_graceful_shutdown_seconds);
    let serving = async {
        let shutdown = async {
            ending.cancelled().await;
            Instant::now()
        };
        let shutdown = shutdown.shared();
        server.serve(shutdown.clone().map(drop), grace).await;
        let left = grace.saturating_sub(shutdown.await.elapsed());
        locks.close().await;
        flush(traces, left).await;
    };
    let block = args.dapr_block_shutdown_duration;
    let second_signal = async {
        signals.next().await;
        service_manager::stopping();
        let end = async {
            if !block.is_zero() {
                tracing::info!("the shutdown begins in {block:?}; serving until then");
                readiness.set_ending();
                tokio::time::sleep(block).await;
            }
            tracing::info!("shutting down");
            ending.cancel();
            std::future::pending::<()>().await
        };
        tokio::select! {
            () = end => {}
            () = signals.next() => {}
        }
    };
    tokio::select! {
        () = serving => Ok(ExitCode::SUCCESS),
        () = second_signal => {
            tracing::warn!("a second signal ended the shutdown at once");
            Ok(ExitCode::FAILURE)
        }
    }
}

/// Sends the remaining traces, within the remaining time.
async fn flush(traces: Option<Traces>, left: Duration) {
    if let Some(traces) = traces {
        // It only fails if the runtime ends.
        let _ = tokio::task::spawn_blocking(move || traces.flush(left)).await;
    }
}

/// Binds the addresses first, so that an address in use is reported before any store is opened. Listens
/// last, so that no client connects before it can be answered.
async fn start(args: &Serve) -> Result<Ready> {
    let server_limits = descriptors::divide(descriptors::raise(), args.server.max_connections);
    let bound = Doors::bind(args).await?;
    // Before anything is counted.
    let recorder = args.enable_metrics.then(Recorder::install).transpose()?;
    let Opened { locks, stores, .. } = stores::open(&args.stores, limits(&args.limits)).await?;
    announce(&stores, !args.stores.resources_path.is_empty());
    let components = stores.into_iter().map(info).collect();
    Ok(Ready { locks, components, recorder, doors: bound.listen()?, server_limits })
}

impl Doors<Bound> {
    async fn bind(args: &Serve) -> Result<Self> {
        let tcp = async |port, option| Bound::tcp(&args.dapr_listen_addresses, port, option).await;
        let (http, grpc) = match &args.unix_domain_socket {
            Some(folder) => {
                let socket = |api| format!("dapr-{}-{api}.socket", args.stores.app_id);
                (
                    Bound::unix(folder.join(socket("http"))).await?,
                    Bound::unix(folder.join(socket("grpc"))).await?,
                )
            }
            None => (
                tcp(args.dapr_http_port, "--dapr-http-port").await?,
                tcp(args.dapr_grpc_port, "--dapr-grpc-port").await?,
            ),
        };
        let public = match args.dapr_public_port {
            Some(port) => {
                let addresses = &args.dapr_public_listen_address;
                Some(Bound::tcp(addresses, port, "--dapr-public-port").await?)
            }
            None => None,
        };
        let metrics = if args.enable_metrics {
            let addresses = &args.metrics_listen_address;
            Some(Bound::tcp(addresses, args.metrics_port, "--metrics-port").await?)
        } else {
            None
        };
        Ok(Self { http, grpc, public, metrics })
    }

    fn listen(self) -> Result<Doors<Listening>> {
        Ok(Doors {
            http: self.http.listen()?,
            grpc: self.grpc.listen()?,
            public: self.public.map(Bound::listen).transpose()?,
            metrics: self.metrics.map(Bound::listen).transpose()?,
        })
    }
}

impl Doors<Listening> {
    /// Logs the addresses. The HTTP API comes last, so that its line means that all are there.
    fn announce(&self) {
        for address in self.public.iter().flat_map(|public| &public.addresses) {
            tracing::info!("serving health checks and metadata without a token on http{address}");
        }
        for address in self.metrics.iter().flat_map(|metrics| &metrics.addresses) {
            tracing::info!("metrics on http{address}/metrics");
        }
        for address in &self.grpc.addresses {
            tracing::info!("listening on grpc{address}");
        }
        for address in &self.http.addresses {
            tracing::info!("listening on http{address}");
        }
    }
}

/// Logs which stores are served.
fn announce(stores: &[OpenStore], from_files: bool) {
    for OpenStore { name, component_type, .. } in stores {
        if from_files {
            tracing::info!("serving the store {name} of type {component_type}");
        } else {
            tracing::info!(
                "no --resources-path is given: serving the store {name} of type \
                 {component_type}, whose locks end with this process"
            );
        }
    }
    if stores.is_empty() {
        tracing::warn!("the resource files define no lock store");
    }
}

fn info(store: OpenStore) -> ComponentInfo {
    ComponentInfo { name: store.name, component_type: store.component_type, version: store.version }
}

fn limits(given: &arguments::Limits) -> Limits {
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

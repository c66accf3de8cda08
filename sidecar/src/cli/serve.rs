//! `holdfast serve`.

use std::{
    cell::Cell,
    env::{self, VarError},
    mem::take,
    process::ExitCode,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use futures_util::FutureExt;
use holdfast::{
    Locks,
    resources::{EdgeLock, OpenStore, Opened},
};
use holdfast_dapr_api::metadata::RUNTIME_VERSION;
use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;
use tracing_subscriber::Layer;

use super::{
    application::{self, ADMIN_TOKEN, Application, End},
    arguments::{LogLevel, Serve},
    descriptors, limits,
    listen::{self, Bound, Listening},
    logging,
    parse::Given,
    scrape::{Recorder, Scrape},
    service_manager,
    signals::Signals,
    stores,
    traces::Traces,
};
use crate::{
    admin, grpc, http,
    intake::BodyLimits,
    metadata::ComponentInfo,
    server::{self, Server},
    sidecar::Sidecar,
};

/// What is needed to serve.
struct Ready {
    locks: Locks,
    components: Vec<ComponentInfo>,
    edge_locks: Vec<EdgeLock>,
    /// What callers should know.
    warning: Option<String>,
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
    admin: Option<T>,
}

pub fn run(args: &Serve, given: &Given, ignored: &[String]) -> Result<ExitCode> {
    let runtime = Runtime::new().context("cannot start the runtime")?;
    let traces = Traces::start(&args.stores.app_id, runtime.handle())?;
    logging::start(&args.log, LogLevel::Info, traces.as_ref().map(|traces| traces.layer().boxed()));
    for line in ignored {
        tracing::warn!("{line}");
    }
    let outcome = runtime.block_on(serve(args, given, traces));
    // Tasks that still run were asked to end at once.
    runtime.shutdown_background();
    outcome
}

async fn serve(args: &Serve, given: &Given, traces: Option<Traces>) -> Result<ExitCode> {
    let mut signals = Signals::new().context("cannot watch for signals")?;
    let ready = tokio::select! {
        ready = start(args, given) => ready?,
        () = signals.next() => {
            tracing::info!("a signal ended the start");
            return Ok(ExitCode::SUCCESS);
        }
    };

    let dapr_token = token("DAPR_API_TOKEN")?;
    let Ready { locks, components, edge_locks, warning, recorder, mut doors, server_limits } =
        ready;
    if let Some(traces) = &traces {
        traces.announce();
    }
    doors.announce(args.ui);
    let sidecar = Sidecar::with_body_limits(
        locks.clone(),
        &args.stores.app_id,
        components,
        dapr_token.as_deref(),
        BodyLimits::default().memory((args.server.max_body_memory as usize) << 20),
    )
    // Those who unlock need connections, too.
    .max_holds(server_limits.connections.div_ceil(2))
    .edge_locks(edge_locks);
    if let Some(warning) = warning {
        // A short text, and the first one: there is room for it.
        let _ = sidecar.metadata().set("holdfastWarning", &warning);
    }
    let readiness = sidecar.readiness().clone();
    let are_held = {
        let locks = locks.clone();
        move || locks.are_held()
    };
    let mut server = Server::new(readiness.clone())
        .limits(server_limits)
        .lingers_while(are_held)
        .last_call(sidecar.last_call().clone())
        .http(http::Api::new(sidecar.clone()), take(&mut doors.http.listeners))
        .grpc(grpc::Api::new(sidecar.clone())?, take(&mut doors.grpc.listeners));
    if let Some(public) = &mut doors.public {
        server = server.watched(http::Api::public(sidecar.clone()), take(&mut public.listeners));
    }
    if let (Some(recorder), Some(metrics)) = (recorder, &mut doors.metrics) {
        let scrape = Scrape::new(recorder, locks.clone());
        server = server.watched(scrape, take(&mut metrics.listeners));
    }

    if let Some(admin) = &mut doors.admin {
        let api = admin::Api::new(sidecar.clone(), token(ADMIN_TOKEN)?.as_deref());
        let api = if args.ui { api.with_page() } else { api };
        server = server.watched(api, take(&mut admin.listeners));
    }

    let mut application = Application::start(&args.command, environment(args, &doors))?;
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
    let code = Cell::new(ExitCode::SUCCESS);
    let block = args.dapr_block_shutdown_duration;
    let second_signal = async {
        let End::InOrder(ended) = application.end(&mut signals, sidecar.shutdown()).await else {
            return;
        };
        code.set(ended);
        service_manager::stopping();
        let end = async {
            if !block.is_zero() {
                tracing::info!("the shutdown begins in {block:?}; serving until then");
                readiness.set_ending();
                tokio::time::sleep(block).await;
            }
            tracing::info!("shutting down");
            locks.end_waits();
            sidecar.ending().cancel();
            ending.cancel();
            std::future::pending::<()>().await
        };
        tokio::select! {
            () = end => {}
            () = signals.next() => {}
        }
    };
    tokio::select! {
        () = serving => Ok(code.get()),
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
async fn start(args: &Serve, given: &Given) -> Result<Ready> {
    announce_start(args);
    let server_limits = {
        // The public port and the metrics.
        let watched = 2 + usize::from(args.enable_admin);
        descriptors::divide(descriptors::raise(), args.server.max_connections, watched)
    };
    let bound = Doors::bind(args, given).await?;
    // Before anything is counted.
    let recorder = args.enable_metrics.then(Recorder::install).transpose()?;
    // Those who hold locks need connections, too.
    let limits = limits::limits(&args.limits);
    let lock_waits = limits.lock_waits.min(server_limits.connections.div_ceil(2));
    let opened = stores::try_open(&args.stores, limits.lock_waits(lock_waits)).await;
    let Opened { locks, stores, edge_locks, .. } =
        opened.map_err(|error| limits::told(&error, given))?;
    let warning = announce(&stores, !args.stores.resources_path.is_empty());
    for EdgeLock { name, store, .. } in &edge_locks {
        tracing::info!("serving the edge lock {name} in the store {store}");
    }
    let components = stores.into_iter().map(info).collect();
    Ok(Ready {
        locks,
        components,
        edge_locks,
        warning,
        recorder,
        doors: bound.listen()?,
        server_limits,
    })
}

impl Doors<Bound> {
    async fn bind(args: &Serve, given: &Given) -> Result<Self> {
        let tcp = async |port, option| {
            Bound::tcp(&args.dapr_listen_addresses, port, given.name(option)).await
        };
        let (http, grpc) = match &args.unix_domain_socket {
            Some(folder) => {
                let socket = |api| listen::socket(folder, &args.stores.app_id, api);
                (Bound::unix(socket("http")).await?, Bound::unix(socket("grpc")).await?)
            }
            None => (
                tcp(args.dapr_http_port, "dapr_http_port").await?,
                tcp(args.dapr_grpc_port, "dapr_grpc_port").await?,
            ),
        };
        let public = match args.dapr_public_port {
            Some(port) => {
                let addresses = &args.dapr_public_listen_address;
                Some(Bound::tcp(addresses, port, given.name("dapr_public_port")).await?)
            }
            None => None,
        };
        let metrics = if args.enable_metrics {
            let addresses = &args.metrics_listen_address;
            Some(Bound::tcp(addresses, args.metrics_port, given.name("metrics_port")).await?)
        } else {
            None
        };
        let admin = if args.enable_admin {
            let name = given.name("admin_port");
            let admin = Bound::tcp(&args.admin_listen_address, args.admin_port, name).await?;
            if token(ADMIN_TOKEN)?.is_none() && !admin.is_loopback()? {
                bail!(
                    "--admin-listen-address: the API of operators is for more than this machine, which needs \
                     a token in HOLDFAST_ADMIN_TOKEN"
                );
            }
            Some(admin)
        } else if args.ui {
            bail!("--ui: the page is on the port of --enable-admin, which is off");
        } else {
            None
        };
        Ok(Self { http, grpc, public, metrics, admin })
    }

    fn listen(self) -> Result<Doors<Listening>> {
        Ok(Doors {
            http: self.http.listen()?,
            grpc: self.grpc.listen()?,
            public: self.public.map(Bound::listen).transpose()?,
            metrics: self.metrics.map(Bound::listen).transpose()?,
            admin: self.admin.map(Bound::listen).transpose()?,
        })
    }
}

impl Doors<Listening> {
    /// Logs the addresses. The HTTP API comes last, so that its line means that all are there.
    fn announce(&self, page: bool) {
        for address in self.public.iter().flat_map(|public| &public.addresses) {
            tracing::info!("serving health checks and metadata without a token on http{address}");
        }
        for address in self.metrics.iter().flat_map(|metrics| &metrics.addresses) {
            tracing::info!("metrics on http{address}/metrics");
        }
        for address in self.admin.iter().flat_map(|admin| &admin.addresses) {
            tracing::info!("serving operators on http{address}");
            if page {
                tracing::info!("their page is http{address}/ui");
            }
        }
        for address in &self.grpc.addresses {
            tracing::info!("listening on grpc{address}");
        }
        for address in &self.http.addresses {
            tracing::info!("listening on http{address}");
        }
    }
}

fn announce_start(args: &Serve) {
    let (version, api) = (env!("CARGO_PKG_VERSION"), RUNTIME_VERSION);
    match args.stores.app_id.as_str() {
        "" => tracing::info!("holdfast {version} (Dapr API {api}), without an app id"),
        app_id => tracing::info!("holdfast {version} (Dapr API {api}), app id {app_id}"),
    }
}

/// Logs which stores are served. Returns what callers should know of them.
fn announce(stores: &[OpenStore], from_files: bool) -> Option<String> {
    for OpenStore { name, component_type, store, .. } in stores {
        let place = store.describe();
        tracing::info!("serving the store {name} of type {component_type}{}", after_colon(&place));
    }
    let in_memory: Vec<_> = stores.iter().filter_map(stores::in_memory_warning).collect();
    for warning in &in_memory {
        match from_files {
            true => tracing::warn!("{warning}"),
            false => tracing::warn!("no --resources-path is given: {warning}"),
        }
    }
    if !from_files && let Some(folder) = stores::daprs_folder() {
        let folder = folder.display();
        tracing::warn!("{folder} exists but is not read: give it with --resources-path");
    }
    if stores.is_empty() {
        tracing::warn!("the resource files define no lock store");
    }
    (!in_memory.is_empty()).then(|| in_memory.join("; "))
}

fn after_colon(text: &str) -> String {
    if text.is_empty() { String::new() } else { format!(": {text}") }
}

/// The token in an environment variable, if it is set. One that cannot be sent is no token, and must not count as none.
fn token(variable: &str) -> Result<Option<String>> {
    match env::var(variable) {
        Ok(token) => Ok(Some(token).filter(|token| !token.is_empty())),
        Err(VarError::NotPresent) => Ok(None),
        Err(VarError::NotUnicode(_)) => bail!("{variable}: the token is not UTF-8"),
    }
}

/// What the application that is started beside the server should know.
fn environment(args: &Serve, doors: &Doors<Listening>) -> Vec<(&'static str, String)> {
    let doors = [
        (&["DAPR_HTTP_PORT", "DAPR_HTTP_ENDPOINT"], &doors.http),
        (&["DAPR_GRPC_PORT", "DAPR_GRPC_ENDPOINT"], &doors.grpc),
    ];
    application::environment(&args.stores.app_id, doors)
}

fn info(store: OpenStore) -> ComponentInfo {
    ComponentInfo { name: store.name, component_type: store.component_type, version: store.version }
}

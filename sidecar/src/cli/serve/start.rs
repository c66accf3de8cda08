//! The start of `serve`: binds the addresses, opens the stores, and logs them.

use anyhow::Result;
use holdfast::{
    Locks,
    resources::{EdgeLock, OpenedLocks, OpenedStore},
};
use holdfast_dapr_api::metadata::RUNTIME_VERSION;

use super::{
    super::{
        arguments::{Serve, parse::Given},
        stores,
    },
    descriptors::{self, OpenFiles},
    limits,
    listen::Listening,
    ports::Ports,
    scrape::Recorder,
    token,
};
use crate::{metadata::ComponentInfo, server};

/// Everything that is needed to serve.
pub struct Ready {
    pub locks: Locks,
    pub components: Vec<ComponentInfo>,
    pub edge_locks: Vec<EdgeLock>,
    /// The warning for callers.
    pub warning: Option<String>,
    pub recorder: Option<Recorder>,
    pub ports: Ports<Listening>,
    pub server_limits: server::Limits,
    pub open_files: OpenFiles,
}

/// Binds the addresses first, so that an address in use is reported before any store is opened. Listens
/// last, so that no client connects before it can be answered.
pub async fn start(args: &Serve, given: &Given) -> Result<Ready> {
    announce_start(args);
    token::check(args)?;
    let open_files = OpenFiles::raise();
    let server_limits = {
        // The public port and the metrics.
        let auxiliary = 2 + usize::from(args.enable_admin);
        descriptors::divide(open_files.limit(), args.server.max_connections, auxiliary)
    };
    let bound = Ports::bind(args, given).await?;
    // Before the first metric is recorded.
    let recorder = args.enable_metrics.then(Recorder::install).transpose()?;
    let limits = limits::limits(&args.limits);
    let lock_waits = limits.lock_waits.min(server_limits.waits());
    let options = stores::options(&args.stores, limits.lock_waits(lock_waits));
    let opened = stores::try_open(&args.stores, &options).await;
    let OpenedLocks { locks, stores, edge_locks, .. } =
        opened.map_err(|error| limits::explained(&error, &args.stores, given))?;
    let warning = announce(&stores, !args.stores.folders().is_empty());
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
        ports: bound.listen()?,
        server_limits,
        open_files,
    })
}

fn announce_start(args: &Serve) {
    let (version, api) = (env!("CARGO_PKG_VERSION"), RUNTIME_VERSION);
    match args.stores.app_id.as_str() {
        "" => tracing::info!("holdfast {version} (Dapr API {api}), without an app id"),
        app_id => tracing::info!("holdfast {version} (Dapr API {api}), app id {app_id}"),
    }
}

/// Logs which stores are served. Returns the warning for callers.
fn announce(stores: &[OpenedStore], from_files: bool) -> Option<String> {
    for OpenedStore { name, component_type, store, .. } in stores {
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

fn info(store: OpenedStore) -> ComponentInfo {
    ComponentInfo { name: store.name, component_type: store.component_type, version: store.version }
}

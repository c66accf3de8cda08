//! Links components to each other: an import of one gets the export of another.

use wac_graph::{CompositionGraph, EncodeOptions};

use crate::{
    error::Error,
    instance::{Instance, Part},
    names::{LEASE, LOCK, STORE, has_calls},
    strip::strip_nested_names,
};

/// A part that calls the lock component and exports another interface.
pub(crate) struct Adapter {
    pub(crate) part: &'static Part<'static>,
    /// The interfaces of the contract that it imports.
    pub(crate) imports: &'static [&'static str],
    /// The interface that the composition exports.
    pub(crate) export: &'static str,
}

/// Links the lock component to the store and, if there is an adapter, the adapter to both.
///
/// Without an adapter the result exports only `lock` and `lease`, so that a shell can call their functions by
/// their bare names.
pub(crate) fn compose(
    store: &Part<'_>,
    lock: &Part<'_>,
    adapter: Option<&Adapter>,
) -> Result<Vec<u8>, Error> {
    let mut graph = CompositionGraph::new();
    let store = Instance::new(&mut graph, store)?;
    let lock = Instance::new(&mut graph, lock)?;
    store.link_to(&mut graph, STORE, &lock)?;
    match adapter {
        Some(Adapter { part, imports, export }) => {
            let adapter = Instance::new(&mut graph, part)?;
            for interface in *imports {
                let exporter = if *interface == STORE { &store } else { &lock };
                exporter.link_to(&mut graph, interface, &adapter)?;
            }
            adapter.export(&mut graph, export)?;
        }
        None => {
            lock.export(&mut graph, LOCK)?;
            lock.export(&mut graph, LEASE)?;
        }
    }
    let whole = graph.encode(EncodeOptions::default());
    let whole = whole.map_err(|problem| lock.mismatch(&problem))?;
    strip_nested_names(&whole).map_err(|problem| lock.mismatch(&problem))
}

/// Links the lock component to the store, and a plugin to the lock component. The result exports what the
/// plugin exports.
///
/// The result is not stripped, because the author of the plugin needs its names in backtraces.
pub(crate) fn compose_plugin(
    store: &Part<'_>,
    lock: &Part<'_>,
    plugin: &Part<'_>,
) -> Result<Vec<u8>, Error> {
    let mut graph = CompositionGraph::new();
    let plugin = Instance::new(&mut graph, plugin)?;
    let store = Instance::new(&mut graph, store)?;
    let lock = Instance::new(&mut graph, lock)?;
    store.link_to(&mut graph, STORE, &lock)?;
    let calls: Vec<_> = plugin.imports.iter().filter(|name| has_calls(name)).collect();
    if calls.is_empty() {
        return Err(Error::NoImport { part: plugin.name, interface: LOCK });
    }
    for import in calls {
        lock.link_import(&mut graph, import, &plugin)?;
    }
    plugin.export_all(&mut graph)?;
    graph.encode(EncodeOptions::default()).map_err(|problem| plugin.mismatch(&problem))
}

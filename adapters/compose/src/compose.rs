//! Links components: an import of one gets the export of another.

use std::error::Error as StdError;

use wac_graph::{CompositionGraph, EncodeOptions, NodeId, types::Package};

use crate::strip::strip;

// Interface names without a version: any version of the parts matches.
pub(crate) const LOCK: &str = "holdfast:lock/lock";
pub(crate) const JSON: &str = "holdfast:lock/json";
pub(crate) const STORE: &str = "holdfast:lock/store";

/// A component to link with others.
pub(crate) struct Part {
    /// The name for error messages.
    pub(crate) name: &'static str,
    pub(crate) wasm: &'static [u8],
}

/// A part that calls the lock component and exports another interface.
pub(crate) struct Adapter {
    pub(crate) part: &'static Part,
    /// The interfaces of the contract that it imports.
    pub(crate) imports: &'static [&'static str],
    /// The interface that the composition exports.
    pub(crate) export: &'static str,
}

/// Why parts cannot be linked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A part is not a component.
    #[error("{part} is not a component: {problem}")]
    Part {
        /// The name of the part.
        part: &'static str,
        /// The reason.
        problem: String,
    },
    /// A part lacks an export that another imports.
    #[error("{part} does not export {interface}")]
    NoExport {
        /// The name of the part.
        part: &'static str,
        /// The missing export.
        interface: &'static str,
    },
    /// A part does not import what another exports for it.
    #[error("{part} does not import {interface}")]
    NoImport {
        /// The name of the part.
        part: &'static str,
        /// The missing import.
        interface: &'static str,
    },
    /// Two parts define one interface differently.
    #[error("{part} cannot be composed: {problem}")]
    Mismatch {
        /// The name of the part.
        part: &'static str,
        /// The reason.
        problem: String,
    },
}

/// Links the lock component to the store and, if there is an adapter, the adapter to both.
///
/// Without an adapter the result exports only `lock`, so that a shell can call its functions by their bare
/// names.
pub(crate) fn compose(
    store: &Part,
    lock: &Part,
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
        None => lock.export(&mut graph, LOCK)?,
    }
    let whole = graph.encode(EncodeOptions::default());
    let whole = whole.map_err(|problem| lock.mismatch(&problem))?;
    strip(&whole).map_err(|problem| lock.mismatch(&problem))
}

/// An instance of a part in the composition.
struct Instance {
    name: &'static str,
    imports: Vec<String>,
    exports: Vec<String>,
    node: NodeId,
}

impl Instance {
    fn new(graph: &mut CompositionGraph, part: &Part) -> Result<Self, Error> {
        let name = part.name;
        let package = Package::from_bytes(name, None, part.wasm, graph.types_mut());
        let package = package
            .map_err(|problem| Error::Part { part: name, problem: format!("{problem:#}") })?;
        let world = &graph.types()[package.ty()];
        let imports = world.imports.keys().cloned().collect();
        let exports = world.exports.keys().cloned().collect();
        let package = graph
            .register_package(package)
            .map_err(|problem| Error::Mismatch { part: name, problem: describe(&problem) })?;
        Ok(Self { name, imports, exports, node: graph.instantiate(package) })
    }

    /// Links an interface that this instance exports to the `importer`.
    fn link_to(
        &self,
        graph: &mut CompositionGraph,
        interface: &'static str,
        importer: &Self,
    ) -> Result<(), Error> {
        let (_, export) = self.alias_export(graph, interface)?;
        let import = find(&importer.imports, interface);
        let import = import.ok_or(Error::NoImport { part: importer.name, interface })?;
        graph
            .set_instantiation_argument(importer.node, import, export)
            .map_err(|problem| importer.mismatch(&problem))
    }

    /// Exports an interface of this instance from the composition.
    fn export(&self, graph: &mut CompositionGraph, interface: &'static str) -> Result<(), Error> {
        let (name, exported) = self.alias_export(graph, interface)?;
        graph.export(exported, name).map_err(|problem| self.mismatch(&problem))
    }

    /// The full name of an exported interface, and its node in the graph.
    fn alias_export(
        &self,
        graph: &mut CompositionGraph,
        interface: &'static str,
    ) -> Result<(&str, NodeId), Error> {
        let name = find(&self.exports, interface);
        let name = name.ok_or(Error::NoExport { part: self.name, interface })?;
        let node = graph.alias_instance_export(self.node, name);
        Ok((name, node.map_err(|problem| self.mismatch(&problem))?))
    }

    fn mismatch(&self, problem: &dyn StdError) -> Error {
        Error::Mismatch { part: self.name, problem: describe(problem) }
    }
}

/// Finds an interface by its name without the version.
fn find<'n>(names: &'n [String], interface: &str) -> Option<&'n str> {
    let matches = |name: &&String| name.split('@').next() == Some(interface);
    names.iter().find(matches).map(String::as_str)
}

/// The message of an error and of its causes.
fn describe(problem: &dyn StdError) -> String {
    match problem.source() {
        Some(cause) => format!("{problem}: {}", describe(cause)),
        None => problem.to_string(),
    }
}

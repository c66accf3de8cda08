//! Puts parts together: whoever imports what another exports is given it.

use std::error::Error as StdError;

use wac_graph::{CompositionGraph, EncodeOptions, NodeId, types::Package};

use crate::strip::strip;

// Interfaces are named without their versions, which are those of the parts.
pub(crate) const LOCK: &str = "holdfast:lock/lock";
pub(crate) const JSON: &str = "holdfast:lock/json";
pub(crate) const STORE: &str = "holdfast:lock/store";

/// A component that others are made of.
pub(crate) struct Part {
    pub(crate) name: &'static str,
    pub(crate) wasm: &'static [u8],
}

/// A part over the lock component, and the one interface that it is there for.
pub(crate) struct Adapter {
    pub(crate) part: &'static Part,
    /// What it imports of the contract.
    pub(crate) needs: &'static [&'static str],
    /// What it exports.
    pub(crate) export: &'static str,
}

/// Why parts do not fit together.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A part is no component.
    #[error("{part} is no component: {problem}")]
    Part {
        /// Which part.
        part: &'static str,
        /// Why not.
        problem: String,
    },
    /// A part lacks an export that another needs.
    #[error("{part} does not export {interface}")]
    NoExport {
        /// Which part.
        part: &'static str,
        /// What it should export.
        interface: &'static str,
    },
    /// A part has no use for what another is there to give it.
    #[error("{part} does not import {interface}")]
    NoImport {
        /// Which part.
        part: &'static str,
        /// What it should import.
        interface: &'static str,
    },
    /// Two parts mean different things by one name.
    #[error("{part} cannot be composed: {problem}")]
    Mismatch {
        /// Which part.
        part: &'static str,
        /// The composer's reason.
        problem: String,
    },
}

/// Gives the `store` to the lock component, and both to the adapter, where there is one; without, it is
/// `lock` that the result exports, alone: a shell may then call a function by its bare name.
pub(crate) fn compose(
    store: &Part,
    lock: &Part,
    adapter: Option<&Adapter>,
) -> Result<Vec<u8>, Error> {
    let mut graph = CompositionGraph::new();
    let store = Placed::new(&mut graph, store)?;
    let lock = Placed::new(&mut graph, lock)?;
    store.give(&mut graph, STORE, &lock)?;
    match adapter {
        Some(Adapter { part, needs, export }) => {
            let adapter = Placed::new(&mut graph, part)?;
            for interface in *needs {
                let giver = if *interface == STORE { &store } else { &lock };
                giver.give(&mut graph, interface, &adapter)?;
            }
            adapter.export(&mut graph, export)?;
        }
        None => lock.export(&mut graph, LOCK)?,
    }
    let whole = graph.encode(EncodeOptions::default());
    let whole = whole.map_err(|problem| lock.mismatch(&problem))?;
    strip(&whole).map_err(|problem| lock.mismatch(&problem))
}

/// A part in the composition.
struct Placed {
    name: &'static str,
    imports: Vec<String>,
    exports: Vec<String>,
    node: NodeId,
}

impl Placed {
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

    /// Gives an interface that this part exports to one that imports it.
    fn give(
        &self,
        graph: &mut CompositionGraph,
        interface: &'static str,
        taker: &Self,
    ) -> Result<(), Error> {
        let (_, given) = self.exported(graph, interface)?;
        let import = find(&taker.imports, interface);
        let import = import.ok_or(Error::NoImport { part: taker.name, interface })?;
        graph
            .set_instantiation_argument(taker.node, import, given)
            .map_err(|problem| taker.mismatch(&problem))
    }

    /// Makes an interface of this part one of the whole.
    fn export(&self, graph: &mut CompositionGraph, interface: &'static str) -> Result<(), Error> {
        let (name, exported) = self.exported(graph, interface)?;
        graph.export(exported, name).map_err(|problem| self.mismatch(&problem))
    }

    fn exported(
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

/// The full name, with its version, of an interface.
fn find<'n>(names: &'n [String], interface: &str) -> Option<&'n str> {
    let is_it = |name: &&String| name.split('@').next() == Some(interface);
    names.iter().find(is_it).map(String::as_str)
}

/// A problem with its causes.
fn describe(problem: &dyn StdError) -> String {
    match problem.source() {
        Some(cause) => format!("{problem}: {}", describe(cause)),
        None => problem.to_string(),
    }
}

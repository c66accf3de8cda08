//! Parts, and their instances in a composition.

use std::error::Error as StdError;

use wac_graph::{
    CompositionGraph, NodeId,
    types::{Package, are_semver_compatible},
};

use crate::{
    error::Error,
    names::{find, unversioned},
};

/// A component to link with others.
pub(crate) struct Part<'a> {
    /// The name for error messages.
    pub(crate) name: &'static str,
    pub(crate) wasm: &'a [u8],
}

/// An instance of a part in the composition.
pub(crate) struct Instance {
    pub(crate) name: &'static str,
    pub(crate) imports: Vec<String>,
    exports: Vec<String>,
    node: NodeId,
}

impl Instance {
    pub(crate) fn new(graph: &mut CompositionGraph, part: &Part<'_>) -> Result<Self, Error> {
        let name = part.name;
        let package = Package::from_bytes(name, None, part.wasm, graph.types_mut());
        let package = package
            .map_err(|problem| Error::Part { part: name, problem: format!("{problem:#}") })?;
        let world = &graph.types()[package.ty()];
        let imports = world.imports.keys().cloned().collect();
        let exports = world.exports.keys().cloned().collect();
        let package =
            graph.register_package(package).map_err(|problem| Error::mismatch(name, &problem))?;
        Ok(Self { name, imports, exports, node: graph.instantiate(package) })
    }

    /// Links an interface that this instance exports to the `importer`.
    pub(crate) fn link_to(
        &self,
        graph: &mut CompositionGraph,
        interface: &'static str,
        importer: &Self,
    ) -> Result<(), Error> {
        let (_, export) = self.alias_interface(graph, interface)?;
        let import = find(&importer.imports, interface);
        let import = import.ok_or(Error::NoImport { part: importer.name, interface })?;
        importer.set_import(graph, import, export)
    }

    /// Links the import of `importer` with this full name to the export of this instance that has the same name and a
    /// compatible version.
    pub(crate) fn link_import(
        &self,
        graph: &mut CompositionGraph,
        import: &str,
        importer: &Self,
    ) -> Result<(), Error> {
        let (part, full_name) = (importer.name, import.to_owned());
        let Some(export) = find(&self.exports, unversioned(import)) else {
            return Err(Error::NotExported { part, import: full_name });
        };
        if !are_semver_compatible(export, import) {
            return Err(Error::Version { part, import: full_name, export: export.to_owned() });
        }
        let node = self.alias(graph, export)?;
        importer.set_import(graph, import, node)
    }

    /// Exports an interface of this instance from the composition.
    pub(crate) fn export(
        &self,
        graph: &mut CompositionGraph,
        interface: &'static str,
    ) -> Result<(), Error> {
        let (name, exported) = self.alias_interface(graph, interface)?;
        graph.export(exported, name).map_err(|problem| self.mismatch(&problem))
    }

    /// Exports all exports of this instance from the composition.
    pub(crate) fn export_all(&self, graph: &mut CompositionGraph) -> Result<(), Error> {
        for name in &self.exports {
            let exported = self.alias(graph, name)?;
            graph.export(exported, name).map_err(|problem| self.mismatch(&problem))?;
        }
        Ok(())
    }

    /// The full name of an exported interface, and its node in the graph.
    fn alias_interface(
        &self,
        graph: &mut CompositionGraph,
        interface: &'static str,
    ) -> Result<(&str, NodeId), Error> {
        let name = find(&self.exports, interface);
        let name = name.ok_or(Error::NoExport { part: self.name, interface })?;
        Ok((name, self.alias(graph, name)?))
    }

    fn alias(&self, graph: &mut CompositionGraph, export: &str) -> Result<NodeId, Error> {
        let node = graph.alias_instance_export(self.node, export);
        node.map_err(|problem| self.mismatch(&problem))
    }

    fn set_import(
        &self,
        graph: &mut CompositionGraph,
        import: &str,
        node: NodeId,
    ) -> Result<(), Error> {
        graph
            .set_instantiation_argument(self.node, import, node)
            .map_err(|problem| self.mismatch(&problem))
    }

    pub(crate) fn mismatch(&self, problem: &dyn StdError) -> Error {
        Error::mismatch(self.name, problem)
    }
}

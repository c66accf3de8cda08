//! Takes the names that only debuggers read out of a component: a tenth of what travels to every node.

use std::convert::Infallible;

use wasm_encoder::{
    Component, ComponentSectionId, RawSection,
    reencode::{Error, Reencode, ReencodeComponent},
};
use wasmparser::{CustomSectionReader, Parser};

/// The component without its `component-name` sections, and those of components in it.
pub(crate) fn strip(wasm: &[u8]) -> Result<Vec<u8>, Error> {
    let mut stripped = Component::new();
    Strip.parse_component(&mut stripped, Parser::new(0), wasm)?;
    Ok(stripped.finish())
}

struct Strip;

impl Reencode for Strip {
    type Error = Infallible;
}

impl ReencodeComponent for Strip {
    fn parse_component_custom_section(
        &mut self,
        component: &mut Component,
        section: CustomSectionReader<'_>,
    ) -> Result<(), Error> {
        if section.name() != "component-name" {
            let data = section.data().into();
            component.section(&wasm_encoder::CustomSection { name: section.name().into(), data });
        }
        Ok(())
    }

    /// Modules stay as they are.
    fn parse_component_submodule(
        &mut self,
        component: &mut Component,
        _: Parser,
        module: &[u8],
    ) -> Result<(), Error> {
        component.section(&RawSection { id: ComponentSectionId::CoreModule as u8, data: module });
        Ok(())
    }
}

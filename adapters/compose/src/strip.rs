//! Removes the names that only debuggers read from a composed component. They are a tenth of its size.
//!
//! The build of a single component, in `xtask/wasm-build`, has a shorter function for this. This one runs when a user
//! composes components, so it also goes into the components within the whole.

use std::convert::Infallible;

use wasm_encoder::{
    Component, ComponentSectionId, RawSection,
    reencode::{Error, Reencode, ReencodeComponent},
};
use wasmparser::{CustomSectionReader, Parser};

/// Removes the `component-name` sections of a component and of the components in it.
pub(crate) fn strip_nested_names(wasm: &[u8]) -> Result<Vec<u8>, Error> {
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

    /// Copies core modules unchanged.
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

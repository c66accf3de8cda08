//! Removes the names that only debuggers read from a component that this workspace builds.
//!
//! Another one, in `adapters/compose/`, runs when a user composes the lock component with a store, and
//! looks into nested components as well.

use wasm_encoder::{Component, RawSection};
use wasmparser::{BinaryReaderError, Parser, Payload};

/// Removes the section `component-name`, in which the linker names the parts of a component.
pub(crate) fn strip_component_name(wasm: &[u8]) -> Result<Vec<u8>, BinaryReaderError> {
    let mut stripped = Component::new();
    let mut end = 0;
    for payload in Parser::new(0).parse_all(wasm) {
        let payload = payload?;
        let Some((id, range)) = payload.as_section() else { continue };
        // A section of a nested component or module was copied with it.
        if range.start < end {
            continue;
        }
        end = range.end;
        if !is_names(&payload) {
            let data = &wasm[range.start as usize..range.end as usize];
            stripped.section(&RawSection { id, data });
        }
    }
    Ok(stripped.finish())
}

fn is_names(payload: &Payload<'_>) -> bool {
    matches!(payload, Payload::CustomSection(section) if section.name() == "component-name")
}

#[cfg(test)]
mod tests {
    use wasm_encoder::{ComponentNameSection, CustomSection, NestedComponentSection};

    use super::*;

    #[test]
    fn only_names_are_removed() {
        let mut component = Component::new();
        let note = CustomSection { name: "note".into(), data: b"kept"[..].into() };
        component.section(&note);
        component.section(&NestedComponentSection(&component.clone()));
        let bare = component.clone().finish();
        component.section(&ComponentNameSection::new());
        let named = component.finish();
        assert_ne!(named, bare);
        assert_eq!(strip_component_name(&named).unwrap(), bare);
        assert_eq!(strip_component_name(&bare).unwrap(), bare);
    }
}

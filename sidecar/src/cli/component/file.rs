//! The files of components.

use std::{fs, path::Path};

use anyhow::{Context, Result, bail};
use holdfast::input_file;

use super::super::output;

/// The largest component, in MiB. One that brings the runtime of Python has less than 50.
const MAX_COMPONENT_MIB: u64 = 256;

/// Reads a component.
pub fn read(file: &Path) -> Result<Vec<u8>> {
    let name = file.display();
    let wasm =
        input_file::read(file, MAX_COMPONENT_MIB).with_context(|| format!("cannot read {name}"))?;
    // After the magic number: two bytes of version, then the layer, which is 0 for a core module.
    match wasm.get(..8) {
        Some([0, b'a', b's', b'm', _, _, 1, 0]) => Ok(wasm),
        Some([0, b'a', b's', b'm', _, _, 0, 0]) => {
            bail!("{name} is a core module, not a component")
        }
        _ => bail!("{name} is not a WebAssembly component"),
    }
}

/// Writes a component into a file, or to stdout for `-`.
pub fn write(file: &Path, wasm: &[u8]) -> Result<()> {
    if file == "-" {
        return output::print(wasm);
    }
    fs::write(file, wasm).with_context(|| format!("cannot write {}", file.display()))
}

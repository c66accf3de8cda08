//! `cargo xtask setup`: prepares the build for every command.

use anyhow::Result;
use holdfast_wasm_build::workspace;

use crate::needs::{c_compiler, wasm_target};

/// Checks for a C compiler, and fetches the WebAssembly target if it is missing.
pub fn setup() -> Result<()> {
    c_compiler::find()?;
    wasm_target::install(&workspace::root()?)
}

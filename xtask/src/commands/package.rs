//! `cargo xtask package`: the files of a release.

use anyhow::Result;
use holdfast_wasm_build::workspace;

use crate::{
    commands::{components::components, release_tool},
    crates,
};

/// Writes `dist/`.
pub fn package() -> Result<()> {
    let components = components()?;
    let crates = crates::write(&workspace::root()?, &components.join("holdfast-lock.wasm"))?;
    release_tool::package(&components, &crates)
}

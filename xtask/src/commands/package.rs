//! `cargo xtask package`: the files of a release.

use anyhow::Result;
use holdfast_wasm_build::workspace;

use crate::{
    commands::{
        components::{components, parts},
        release_tool,
    },
    crates,
};

/// Writes `dist/`.
pub fn package() -> Result<()> {
    let components = components()?;
    let published = crates::package(&workspace::root()?, &parts()?)?;
    let files: Vec<_> = published.into_iter().map(|package| package.file).collect();
    release_tool::package(&components, &files)
}

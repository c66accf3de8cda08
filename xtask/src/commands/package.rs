//! `cargo xtask package`: the files of a release.

use anyhow::Result;
use holdfast_wasm_build::workspace;

use crate::{
    commands::{
        components::{components, parts},
        programs_of_release, release_tool,
    },
    crates,
    progress::step,
};

/// Writes `dist/`.
pub fn package() -> Result<()> {
    let components = components()?;
    let (root, parts) = (workspace::root()?, parts()?);
    let published = step("packaging the crates", || crates::package(&root, &parts))?;
    let mut files: Vec<_> = published.into_iter().map(|package| package.file).collect();
    files.extend(programs_of_release::build_all(&root)?);
    step("writing dist/", || release_tool::package(&components, &files))
}

//! `cargo xtask package`: the files of a release.

use anyhow::Result;

use crate::commands::{components::components, release_tool};

/// Writes `dist/`.
pub fn package() -> Result<()> {
    release_tool::package(&components()?)
}

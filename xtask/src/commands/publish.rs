//! `cargo xtask publish`: a release, put into an OCI registry.

use anyhow::Result;

use crate::commands::{package::package, release_tool};

/// Writes `dist/` and puts its components and the WIT package into `registry`.
pub fn publish(registry: &str, insecure: bool) -> Result<()> {
    package()?;
    release_tool::publish(registry, insecure)
}

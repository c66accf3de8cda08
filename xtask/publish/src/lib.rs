//! What `cargo xtask package` and `cargo xtask publish` do once the components are built.
//!
//! - `artifacts.rs`: which components there are.
//! - `package.rs`: the files of a release; `metadata.rs`, `contract.rs`, `sbom.rs`, `sums.rs`: what is in
//!   them.
//! - `registry.rs`: an OCI registry, as a place to publish to.

mod artifacts;
mod contract;
mod metadata;
pub mod package;
pub mod registry;
mod sbom;
mod sums;

pub use artifacts::{ARTIFACTS, Artifact};
pub use contract::PACKAGE as CONTRACT;

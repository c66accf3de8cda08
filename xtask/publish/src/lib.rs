//! `cargo xtask package` and `cargo xtask publish`, once the components and crates are built.
//!
//! - `artifacts.rs`: the list of components and modules.
//! - `package.rs`: the files of a release. Their contents come from `metadata.rs`, `contract.rs`, `sbom.rs` and
//!   `sums.rs`.
//! - `registry.rs`: publishing to an OCI registry, in which a filter has the form of `filter_image.rs`.

mod artifacts;
mod contract;
mod filter_image;
mod metadata;
pub mod package;
pub mod registry;
mod sbom;
mod sums;

pub use artifacts::{ARTIFACTS, Artifact, Form};
pub use contract::PACKAGE as CONTRACT;

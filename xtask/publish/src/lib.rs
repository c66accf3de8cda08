//! `cargo xtask package` and `cargo xtask publish`, once the components and crates are built.
//!
//! | module | what lives there |
//! |---|---|
//! | `artifacts` | the list of components and modules |
//! | [`package`] | the files of a release |
//! | `metadata` | the custom sections that describe a component |
//! | `contract` | the contract as a binary WIT package |
//! | `sbom` | bills of materials |
//! | `sums` | the file of checksums |
//! | [`registry`] | publishing to an OCI registry |
//! | `filter_image` | the form that a filter has there |

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

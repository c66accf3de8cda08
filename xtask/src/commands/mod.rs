//! The commands, one a file: `cargo xtask test` is `test.rs`.
//!
//! Beside them `lint.rs` runs the linters of `deploy/` for `check`, `links.rs` checks the links of the
//! documentation, and `release_tool.rs` starts the tool that packages and publishes.

pub mod bench;
pub mod build;
pub mod check;
pub mod components;
pub mod embed;
pub mod faults;
pub mod fuzz;
pub mod layers;
mod links;
mod lint;
pub mod package;
pub mod publish;
mod release_tool;
pub mod serve;
pub mod setup;
pub mod test;
pub mod wit;

//! The commands, one a file: `cargo xtask test` is `test.rs`.
//!
//! Beside them `lint.rs` runs the linters of `deploy/` for `check`, `links.rs` and `figures.rs` check the links
//! and the figures of the documentation, `programs_of_release.rs` builds the program for `package`, and
//! `release_tool.rs` starts the tool that packages and publishes.

pub mod bench;
pub mod build;
pub mod check;
pub mod components;
pub mod embed;
pub mod faults;
mod figures;
pub mod fuzz;
pub mod layers;
mod links;
mod lint;
pub mod package;
mod programs_of_release;
pub mod publish;
mod release_tool;
pub mod serve;
pub mod setup;
pub mod test;
pub mod wit;

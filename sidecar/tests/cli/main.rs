//! The command line of `holdfast`.
//!
//! - `cli.rs`: `serve`, `check` and single calls.
//! - `component/`: `component`.
//! - `health.rs`: `health`.
//! - `service_manager.rs`: what `serve` tells systemd.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod cli;
mod component;
mod health;
mod service_manager;

/// The program.
const HOLDFAST: &str = env!("CARGO_BIN_EXE_holdfast");

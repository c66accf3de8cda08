//! The files of `deploy/` and the command lines of the documentation fit the program.
//!
//! - `files.rs`: the systemd unit and the image.
//! - `kubernetes.rs`: the sidecars for Kubernetes.
//! - `proxies.rs`: the files for proxies in Kubernetes.
//! - `from_dapr.rs`: `docs/from-dapr.md`.
//! - `deployed.rs`: command lines of those files, run on this machine.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod deployed;
mod files;
mod from_dapr;
mod kubernetes;
mod proxies;

/// The program.
const HOLDFAST: &str = env!("CARGO_BIN_EXE_holdfast");

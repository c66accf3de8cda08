//! The lock component: its contract, its doors, and plugins that use it.
//!
//! - `contract.rs`: the WIT files, and what the component imports and exports.
//! - `doors.rs`: the component decides alike through each of its doors.
//! - `plugin.rs`: plugins in the wasmtime of an embedder.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod contract;
mod doors;
mod plugin;

//! The library over scripted stores and the store in memory.
//!
//! - `admission.rs`: how many calls run at once.
//! - `lease.rs`: leases, and waiting for them.
//! - `keep.rs`: leases that are renewed in the background.
//! - `metrics.rs`: the metrics.
//! - `resilient_store.rs`: policies.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod admin;
mod admission;
mod keep;
mod lease;
mod metrics;
mod resilient_store;

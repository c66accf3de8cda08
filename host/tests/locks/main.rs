//! The library over scripted stores, and the one in memory.
//!
//! - `admission.rs`: how many calls run at once.
//! - `lease.rs`: leases, and waiting for them.
//! - `keep.rs`: leases that are renewed in the background.
//! - `metrics.rs`: what is counted.
//! - `resilient_store.rs`: policies.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod admin;
mod admission;
mod keep;
mod lease;
mod metrics;
mod resilient_store;

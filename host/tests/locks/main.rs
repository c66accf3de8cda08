//! The library over scripted stores.
//!
//! - `admission.rs`: how many calls run at once.
//! - `metrics.rs`: what is counted.
//! - `resilient_store.rs`: policies.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod admission;
mod metrics;
mod resilient_store;

//! Dapr's resource files, read from folders: each rule of Dapr's loader.
//!
//! - `components.rs`: lock stores and secret stores (`kind: Component`).
//! - `resiliency.rs`: policies (`kind: Resiliency`).

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod components;
mod resiliency;

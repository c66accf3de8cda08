//! The observability of the program: metrics, traces, and the dashboard that uses the metrics.
//!
//! - `scrape.rs`: the metrics, as Prometheus reads them.
//! - `dashboard.rs`: the dashboard for Grafana.
//! - `traces.rs`: traces, sent to a collector.
//! - `known_calls.rs`, `collector.rs`: code that the tests share.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod collector;
mod dashboard;
mod known_calls;
mod scrape;
mod traces;

/// The program.
const HOLDFAST: &str = env!("CARGO_BIN_EXE_holdfast");

//! The process `edge-proxy`, with a Redis and an upstream of the test's own.
//!
//! - `single_flight.rs`: the plugin of `examples/` on two nodes.
//! - `limits.rs`: the limits of a plugin, and the stores that it may reach.
//! - `node.rs`: nodes, upstreams and plugins, which the tests share.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod limits;
mod node;
mod single_flight;

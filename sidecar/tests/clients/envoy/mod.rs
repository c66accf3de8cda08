//! The Envoys of `examples/envoy/`, which let all nodes together send one request at a time to the upstream.
//!
//! - `edge.rs`: the parts of each test: a server of Redis, Holdfast, an upstream, and Envoys.
//! - `exclusion.rs`: requests that get the lock, and requests that wait.
//! - `leaving.rs`: clients and proxies that leave.
//! - `failing.rs`: requests without Holdfast, or without Redis.
//! - `requests.rs`: which requests take a lock, and how they reach the upstream.
//! - `settings.rs`: wrong settings.

mod edge;
mod exclusion;
mod failing;
mod leaving;
mod requests;
mod settings;

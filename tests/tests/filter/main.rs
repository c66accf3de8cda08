//! The proxy-wasm filter in a wasmtime that acts as the proxy.
//!
//! - `proxy.rs`: the proxy. It has the functions in `host_functions.rs`, and the state in `state.rs`.
//! - `shape.rs`: the module's imports, exports and size.
//! - `configuration.rs`: right and wrong configurations.
//! - `requests.rs`: one request: the call to Holdfast, and the fate of the request.
//! - `leaving.rs`: clients that leave, at each step.
//! - `releasing.rs`: releases that fail.
//! - `waiting.rs`: several requests for one lock.
//! - `interleavings.rs`: properties that must hold for events in any order.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod configuration;
mod host_functions;
mod interleavings;
mod leaving;
mod proxy;
mod releasing;
mod requests;
mod shape;
mod state;
mod waiting;

//! The proxy-wasm filter in a wasmtime that plays the proxy.
//!
//! - `proxy.rs`: the proxy. It has the functions in `host_functions.rs`, and knows what is in `state.rs`.
//! - `shape.rs`: the module's imports, exports and size.
//! - `configuration.rs`: right and wrong configurations.
//! - `requests.rs`: one request: what is asked, and what becomes of the request.
//! - `leaving.rs`: clients that leave, at each step.
//! - `releasing.rs`: releases that fail.
//! - `waiting.rs`: several requests for one lock.
//! - `interleavings.rs`: what must hold whatever happens, in any order.

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

//! The proxy-wasm filter in a wasmtime that plays the proxy.
//!
//! - `proxy.rs`: the proxy: its functions, and what it was asked to do.
//! - `shape.rs`: the module's imports, exports and size.
//! - `configuration.rs`: right and wrong configurations.
//! - `requests.rs`: one request: what is asked, and what becomes of the request.
//! - `leaving.rs`: clients that leave, at each step.
//! - `releasing.rs`: releases that fail.
//! - `waiting.rs`: several requests for one lock.
//! - `interleavings.rs`: what must hold whatever happens, in any order.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod configuration;
mod interleavings;
mod leaving;
mod proxy;
mod releasing;
mod requests;
mod shape;
mod waiting;

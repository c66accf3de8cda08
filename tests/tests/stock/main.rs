//! The compositions on a stock runtime: in this process, with the crates that the command `wasmtime` is
//! made of, and by that command itself where there is one.
//!
//! - `shapes.rs`: what they import and export, and how large they are.
//! - `lock.rs`, `http.rs`, `cli.rs`: each one with a real Redis.
//! - `plugin.rs`: somebody's plugin, composed with one of them.
//! - `binary.rs`: the same by the command `wasmtime`.
//! - `runtime.rs`, `server.rs`: the runtime that the tests share.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod binary;
mod cli;
mod http;
mod lock;
mod plugin;
mod runtime;
mod server;
mod shapes;

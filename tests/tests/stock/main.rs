//! The compositions and the lock component on runtimes without code of Holdfast.
//!
//! - `shapes.rs`: the imports, exports and sizes of the compositions.
//! - `lock.rs`, `http.rs`, `cli.rs`: each composition with Redis, in the crates that the command `wasmtime`
//!   consists of.
//! - `plugin.rs`: plugins composed with the lock component and its store.
//! - `binary.rs`: the compositions in the command `wasmtime`, where it is installed.
//! - `other_hosts.rs`: the lock component in hosts of other languages.
//! - `workers.rs`, `worker_holds.rs`, `durable_objects.rs`: a Cloudflare Worker that serves the lock API by the lock
//!   component's steps.
//! - `runtime.rs`, `server.rs`: the runtime that the tests share.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod binary;
mod cli;
mod durable_objects;
mod http;
mod jco;
mod lock;
mod other_hosts;
mod plugin;
mod runtime;
mod server;
mod shapes;
mod worker_holds;
mod workers;

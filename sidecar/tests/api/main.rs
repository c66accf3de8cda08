//! Dapr's lock API over HTTP and gRPC.
//!
//! - `http_lock.rs`, `grpc_lock.rs`, `grpc_dotnet.rs`: the lock calls, byte for byte.
//! - `leases.rs`, `await_loss.rs`: leases, and hearing of their loss.
//! - `holds.rs`, `given_up.rs`: locks that last as long as a response, and callers who did not end their holds.
//! - `http_server.rs`, `grpc_server.rs`: token, health, metadata, overload and shutdown.
//! - `dapr_guide.rs`: the calls of Dapr's guide, with the program and Redis.
//! - `openapi.rs`: the documents that describe the HTTP APIs.
//! - `resiliency.rs`: resiliency files, with the program and a Redis that fails.
//! - `admin.rs`, `admin_page.rs`: the operator API, and its page in a browser.
//! - `ext_proc.rs`: external processing for proxies.
//! - `limits.rs`: the limits of callers: the server's time, connections and memory.
//! - `streams.rs`: calls that last: their connections, memory and deadlines.
//! - `leaving.rs`: callers over HTTP who leave, or close only their side of the connection.
//! - `ending.rs`: the end of the server.
//! - `server.rs`: the server that the tests share.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod admin;
mod admin_page;
mod await_loss;
mod dapr_guide;
mod ending;
mod ext_proc;
mod given_up;
mod grpc_dotnet;
mod grpc_lock;
mod grpc_server;
mod holds;
mod http_lock;
mod http_server;
mod leases;
mod leaving;
mod limits;
mod openapi;
mod resiliency;
mod server;
mod streams;

/// The program.
const HOLDFAST: &str = env!("CARGO_BIN_EXE_holdfast");

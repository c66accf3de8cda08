//! Third-party programs that use Holdfast.
//!
//! - `sdk.rs`: Dapr's published SDKs.
//! - `schemathesis.rs`: requests that are made from the documents of the HTTP APIs.
//! - `envoy/`: the Envoys of `examples/envoy/`.
//! - `nginx.rs`: the nginx of `examples/nginx/`.
//! - `traefik.rs`: the plugin of `examples/traefik/`.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod envoy;
mod nginx;
mod schemathesis;
mod sdk;
mod traefik;

/// The program.
const HOLDFAST: &str = env!("CARGO_BIN_EXE_holdfast");

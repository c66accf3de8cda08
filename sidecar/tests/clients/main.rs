//! Programs of others that use Holdfast.
//!
//! - `sdk.rs`: Dapr's published SDKs.
//! - `nginx.rs`: the nginx of `examples/nginx/`.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod nginx;
mod sdk;

/// The program.
const HOLDFAST: &str = env!("CARGO_BIN_EXE_holdfast");

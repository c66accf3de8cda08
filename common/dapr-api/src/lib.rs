//! Dapr's HTTP API for locks, without a server: which call a request is, and every reply that needs
//! no lock.
//!
//! `holdfast serve` and the component for `wasi:http` both use this crate, so they answer alike, byte for byte. The
//! server itself handles sockets, tokens and locks.
//!
//! The API follows Dapr 1.18, `pkg/api/http`.
//!
//! | module | what lives there |
//! |---|---|
//! | [`path`] | cleaning and unescaping the path of a URL |
//! | [`route`] | the call that a method and a path name |
//! | [`body`] | how much of a body a server reads |
//! | [`reply`] | replies |
//! | [`health`] | health checks |
//! | [`lease`] | calls about leases from the caller's side |
//! | [`metadata`] | the document that describes a sidecar |

#![no_std]

extern crate alloc;

pub mod body;
pub mod health;
pub mod lease;
pub mod metadata;
pub mod path;
pub mod reply;
pub mod route;

pub use reply::Reply;
pub use route::{LeaseCall, Route};

/// The header of an HTTP request, or the metadata of a gRPC call, that carries the API token.
pub const TOKEN_HEADER: &str = "dapr-api-token";

/// The header of an HTTP response, or the trailing metadata of a gRPC call, that carries the fencing token of a
/// try-lock, from a store that gives every grant one.
pub const FENCING_TOKEN_HEADER: &str = "holdfast-fencing-token";

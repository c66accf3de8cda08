//! Dapr's HTTP API for locks.
//!
//! Here live addresses, headers, bounds on bodies, health and metadata. No body of a lock request is
//! read here and no verdict is formed: [`Locks`](crate::Locks) gets the bytes, and the bytes of its
//! reply are sent.
//!
//! What is answered follows Dapr 1.18, `pkg/api/http`.

mod admission;
mod api;
mod metadata;
mod path;
mod reply;
mod route;

pub use api::Api;

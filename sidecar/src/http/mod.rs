//! Dapr's HTTP API for locks.
//!
//! Here live headers, tokens and the reading of bodies. What a path means and what replies look like is
//! `holdfast-dapr-api`, which other servers of the same API share. No body of a lock request is parsed
//! here and no verdict is formed: [`Locks`](holdfast::Locks) gets the bytes, and the bytes of its reply are
//! sent.

mod admission;
mod api;
mod metrics;
mod send;

pub use api::Api;

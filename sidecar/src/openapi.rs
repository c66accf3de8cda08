//! The documents that describe the HTTP APIs, in the form of OpenAPI 3.1.
//!
//! They are written by hand: the bodies are read as Dapr reads them, by code from which no document can be derived.
//! Tests hold the server to them.

use std::borrow::Cow;

use holdfast_dapr_api::{Reply, reply};

/// The API for locks.
pub(crate) const LOCKS: &str = include_str!("../openapi/locks.json");

/// The operator API. It has a document of its own, because it has a port, a token and paths of its own.
pub(crate) const OPERATORS: &str = include_str!("../openapi/operators.json");

/// A document as a reply.
pub(crate) fn reply(document: &'static str) -> Reply {
    Reply { body: Cow::Borrowed(document.as_bytes()), ..reply::json(200, Vec::new()) }
}

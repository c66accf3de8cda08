//! Edge locks: which requests of a proxy take which lock, and what happens to a request that does not get it.
//!
//! An edge lock is a resource of kind `EdgeLock`. `holdfast serve` reads it from a YAML file, and the proxy-wasm
//! filter from its JSON configuration, with the same fields, defaults and messages.
//!
//! | module | what lives there |
//! |---|---|
//! | [`fields`] | reading a tree of values field by field |
//! | `flaw` | a problem with a field |
//! | [`json`] | JSON in which each field occurs once |
//! | [`headers`] | the headers of a request, as a proxy shows them |
//! | [`matching`] | the requests that an edge lock matches |
//! | [`template`] | the resource of a request: text with the request's parts in it |
//! | [`refusal`] | the response to a refused request |
//! | [`details`] | where a response comes from, as the proxy reports it |
//! | [`policy`] | an edge lock: all of this together |
//!
//! ```
//! use holdfast_edge_lock::{EdgeLock, Headers};
//! use serde_json::json;
//!
//! struct Request;
//!
//! impl Headers for Request {
//!     fn get(&self, name: &str) -> Option<Vec<u8>> {
//!         match name {
//!             ":authority" => Some(b"shop.example".to_vec()),
//!             ":path" => Some(b"/reports/2026?page=1".to_vec()),
//!             _ => None,
//!         }
//!     }
//! }
//!
//! let lock = EdgeLock::read(
//!     "reports",
//!     json!({ "store": "lockstore", "resource": "{:authority}{:path-only}", "ttl": "60s" }),
//! )?;
//! assert!(lock.matches.includes(&Request));
//! assert_eq!(lock.resource.of(&Request).as_deref(), Some("shop.example/reports/2026"));
//! # Ok::<(), holdfast_edge_lock::Flaw>(())
//! ```

#![no_std]

extern crate alloc;
#[cfg(test)]
extern crate std;

pub mod details;
pub mod fields;
mod flaw;
pub mod headers;
pub mod json;
pub mod matching;
pub mod policy;
pub mod refusal;
pub mod template;

pub use self::{
    flaw::Flaw,
    headers::Headers,
    policy::{EdgeLock, InDoubt, OnClientGone},
    refusal::Refusal,
};

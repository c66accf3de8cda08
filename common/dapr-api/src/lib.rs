//! Dapr's HTTP API for locks, without a server: what a request asks for, and the replies that need no
//! lock.
//!
//! The host and the component for `wasi:http` are two servers of this one API, and answer alike byte for
//! byte. Neither sockets nor tokens are known here, and no lock: whoever serves has those.
//!
//! What is answered follows Dapr 1.18, `pkg/api/http`.
//!
//! | module | what lives there |
//! |---|---|
//! | [`path`] | the path of a URL, before it means anything |
//! | [`route`] | which call a method and a path ask for |
//! | [`body`] | how much of a body is read |
//! | [`reply`] | the replies, in the few forms that there are |
//! | [`health`] | the health checks |
//! | [`metadata`] | the document that describes a sidecar |

#![no_std]

extern crate alloc;

pub mod body;
pub mod health;
pub mod metadata;
pub mod path;
pub mod reply;
pub mod route;

pub use reply::Reply;
pub use route::Route;

/// The header, or the metadata of a gRPC call, in which a caller shows the API token.
pub const TOKEN_HEADER: &str = "dapr-api-token";

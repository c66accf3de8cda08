//! Dapr's HTTP API for locks: [`Api`] answers requests, [`Server`] carries them over sockets.
//!
//! Here live addresses, headers, the API token, bounds on bodies, health and metadata. No body of a
//! lock request is read here and no verdict is formed: [`Locks`](crate::Locks) gets the bytes, and
//! the bytes of its reply are sent.
//!
//! What is answered follows Dapr 1.18, `pkg/api/http`.

mod api;
mod metadata;
mod path;
mod readiness;
mod reply;
mod route;
mod server;
mod token;
mod trace_context;

pub use api::Api;
pub use metadata::ComponentInfo;
pub use readiness::Readiness;
pub use server::Server;

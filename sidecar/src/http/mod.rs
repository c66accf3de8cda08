//! The HTTP API: Dapr's lock API, leases and holds.
//!
//! Headers, tokens and the reading of bodies live here. Routes and replies are in `holdfast-dapr-api`,
//! which other servers of this API share. The body of a lock call is not parsed here:
//! [`Locks`](holdfast::Locks) gets its bytes and returns the bytes of the reply.

mod admission;
mod api;
mod failed;
mod head;
mod hold;
mod metrics;
mod send;

pub use api::Api;
pub(crate) use failed::failed;
pub(crate) use head::refusal as head_refusal;
pub use send::ResponseBody;
pub(crate) use send::{lasting, response};

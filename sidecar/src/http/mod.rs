//! The HTTP API: Dapr's lock API, leases and holds.
//!
//! Headers, tokens and the reading of bodies live here. Routes and replies are in `holdfast-dapr-api`,
//! which other servers of this API share. The body of a lock call is not parsed here:
//! [`Locks`](holdfast::Locks) gets its bytes and returns the bytes of the reply.
//!
//! | module | what lives there |
//! |---|---|
//! | `api` | from a request to a response |
//! | `head`, `admission` | requests that are refused by their head, and by their token |
//! | `hold` | leases that last as long as their response |
//! | `failed` | the reply to a call that has no verdict |
//! | `send` | from a reply to a response |
//! | `metrics` | the metrics of requests |

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

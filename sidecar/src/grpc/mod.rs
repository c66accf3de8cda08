//! The gRPC API: Dapr's lock API, leases, external processing for proxies, reflection and `grpc.health.v1`.
//!
//! Methods, status codes, the API token, deadlines and limits of messages live here. No rule of the
//! lock does: [`Locks`](holdfast::Locks) makes the verdicts and the messages.
//!
//! The API follows Dapr 1.18, `pkg/api/grpc` and `pkg/api/universal/lock.go`.
//!
//! | module | what lives there |
//! |---|---|
//! | `api` | from a call to its response |
//! | `calls`, `leases`, `health` | the methods: of Dapr's service, of leases, of the health checks |
//! | `ext_proc` | external processing: locks around the requests of a proxy |
//! | `head`, `admission` | calls that are refused by their head, and by their token |
//! | `deadline`, `bounds` | the caller's deadline, and the bounds of a call |
//! | `unary`, `messages`, `until` | the bodies of calls: one message, several, and those that end early |
//! | `frame`, `compression` | the prefixes of messages, and messages that are compressed |
//! | `status` | the status of a call that failed |
//! | `metrics` | the metrics of calls |

mod admission;
mod api;
mod bounds;
mod calls;
mod compression;
mod deadline;
mod ext_proc;
mod frame;
mod head;
mod health;
mod leases;
mod messages;
mod metrics;
mod status;
mod unary;
mod until;

pub use api::{Api, DescriptorError};
pub(crate) use bounds::Bounds;
pub(crate) use calls::failed;
pub(crate) use leases::duration;
pub(crate) use unary::{Received, ResponseMessage, lasting, response};

//! The gRPC API: Dapr's lock API, leases, external processing for proxies, reflection and `grpc.health.v1`.
//!
//! Methods, status codes, the API token, deadlines and limits of messages live here. No rule of the
//! lock does: [`Locks`](holdfast::Locks) makes the verdicts and the messages.
//!
//! The API follows Dapr 1.18, `pkg/api/grpc` and `pkg/api/universal/lock.go`.

mod admission;
mod api;
mod bounds;
mod calls;
mod deadline;
mod ext_proc;
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
pub(crate) use unary::{Answered, Received, lasting, response};

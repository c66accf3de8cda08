//! Dapr's gRPC API for locks, with reflection and `grpc.health.v1`.
//!
//! Here live methods, codes, the API token, deadlines and bounds on messages. No rule of the lock
//! lives here: the typed calls of [`Locks`](holdfast::Locks) form the verdicts and the messages.
//!
//! What is answered follows Dapr 1.18, `pkg/api/grpc` and `pkg/api/universal/lock.go`.

mod admission;
mod api;
mod calls;
mod deadline;
mod health;
mod metrics;
mod status;

pub use api::{Api, DescriptorError};

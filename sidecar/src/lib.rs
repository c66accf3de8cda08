//! The command `holdfast`: locks over Dapr's HTTP and gRPC APIs, and single calls from the shell.
//!
//! No rule of the lock lives here. [`holdfast::Locks`] makes every verdict and every message.
//!
//! | module | what lives there |
//! |---|---|
//! | [`sidecar`] | what both APIs serve: an application's locks, its metadata, its token |
//! | `metadata`, `token` | the parts of that |
//! | [`http`], [`grpc`] | Dapr's APIs, as functions from requests to responses |
//! | [`server`] | sockets, graceful shutdown, readiness |
//! | `trace_context` | the caller's trace, from the headers of a request |
//! | `cache` | handles of metrics |
//! | `seldom` | log lines at a limited rate |
//! | `failure` | calls that fail in the host |
//! | [`cli`] | the command line: arguments, commands, logging, traces, the page of metrics |

mod cache;
pub mod cli;
mod failure;
pub mod grpc;
pub mod http;
mod metadata;
mod seldom;
pub mod server;
pub mod sidecar;
mod token;
mod trace_context;

pub use self::{metadata::ComponentInfo, sidecar::Sidecar};

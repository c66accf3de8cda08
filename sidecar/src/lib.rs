//! The command `holdfast`: locks over Dapr's HTTP and gRPC APIs, and single calls from the shell.
//!
//! No rule of the lock lives here. [`holdfast::Locks`] makes every verdict and every message.
//!
//! | module | what lives there |
//! |---|---|
//! | [`sidecar`] | what both APIs serve: an application's locks, its metadata, its token |
//! | `metadata`, `token` | the parts of that |
//! | [`http`], [`grpc`] | Dapr's APIs, as functions from requests to responses |
//! | [`admin`] | the operator API |
//! | [`server`] | sockets, connections and their limits, graceful shutdown, readiness |
//! | `intake` | reading bodies within a budget |
//! | `trace_context` | the caller's trace, from the headers of a request |
//! | `long_requests` | calls that compute for a long time, run beside the others |
//! | `metric_handles` | handles of metrics whose labels are known late |
//! | `throttle` | log lines at a limited rate |
//! | `hold` | leases that last as long as the response that reports them |
//! | `loss` | waiting until a lock is lost |
//! | `watch` | the locks that are taken and freed |
//! | `untaken` | streams that end when their reader stops reading |
//! | `openapi` | the documents that describe the HTTP APIs |
//! | `failure` | calls that fail |
//! | `rules_types` | verbs and errors as types of the rules |
//! | [`cli`] | the command line: arguments, commands, logging, traces, the page of metrics |

pub mod admin;
pub mod cli;
mod failure;
pub mod grpc;
mod hold;
pub mod http;
mod intake;
mod long_requests;
mod loss;
mod metadata;
mod metric_handles;
mod openapi;
mod rules_types;
pub mod server;
pub mod sidecar;
mod throttle;
mod token;
mod trace_context;
mod untaken;
mod watch;

pub use self::{intake::BodyLimits, metadata::ComponentInfo, sidecar::Sidecar};

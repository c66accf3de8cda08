//! The command `holdfast`: locks over Dapr's HTTP and gRPC APIs, and single calls from the shell.
//!
//! No rule of the lock lives here. [`holdfast::Locks`] makes every verdict and every message.
//!
//! | module | what lives there |
//! |---|---|
//! | [`sidecar`] | the state that both APIs serve: an application's locks, its metadata, its token |
//! | `metadata`, `token` | the parts of that |
//! | [`http`], [`grpc`] | Dapr's APIs, as functions from requests to responses |
//! | [`admin`] | the operator API |
//! | [`server`] | sockets, connections and their limits, graceful shutdown, readiness |
//! | `requests` | requests of both APIs: their bodies, their lengths, their traces |
//! | `lasting` | calls whose responses last: holds, waits for a loss, and watches |
//! | `metric_handles` | handles of metrics whose labels are known late |
//! | `throttle` | log lines at a limited rate |
//! | `openapi` | the documents that describe the HTTP APIs |
//! | `failure` | calls that fail |
//! | `rules_types` | verbs and errors as types of the rules |
//! | [`cli`] | the command line: arguments, commands, logging, traces, the page of metrics |

pub mod admin;
pub mod cli;
mod failure;
pub mod grpc;
pub mod http;
mod lasting;
mod metadata;
mod metric_handles;
mod openapi;
mod requests;
mod rules_types;
pub mod server;
pub mod sidecar;
mod throttle;
mod token;

pub use self::{metadata::ComponentInfo, requests::intake::BodyLimits, sidecar::Sidecar};

//! What can be watched of Holdfast while it runs: the names of all metrics, and the handles that
//! count them.
//!
//! Metrics go to the recorder of the crate `metrics` that is in place when a thing is made: install
//! it before stores are connected and [`Locks`](crate::Locks) are built. Without one, counting does
//! nothing. How a recorder shows its metrics to others is not known here.

#[cfg(feature = "http")]
mod cache;
mod calls;
mod components;
mod definitions;
#[cfg(feature = "grpc")]
mod grpc;
mod holds;
#[cfg(feature = "http")]
mod http;
mod instances;
#[cfg(feature = "http")]
mod parent;
mod redis;
mod resiliency;
mod spans;
mod store;

pub use components::ComponentMetrics;
pub use definitions::{Definition, Kind, METRICS};
pub use spans::DETAILS;

pub(crate) use calls::{Attempt, Call, Calls, ErrorKind, Unlock};
pub(crate) use definitions::{CALLS_IN_FLIGHT, CALLS_WAITING, describe};
#[cfg(feature = "grpc")]
pub(crate) use grpc::GrpcMetrics;
#[cfg(feature = "http")]
pub(crate) use http::{HttpMetrics, Path};
pub(crate) use instances::{Discarded, InstanceMetrics};
#[cfg(feature = "http")]
pub(crate) use parent::set_parent;
pub(crate) use redis::{Closed, RedisMetrics};
pub(crate) use resiliency::{BreakerMetrics, PolicyMetrics};
pub(crate) use spans::details;
pub(crate) use store::StoreMetrics;

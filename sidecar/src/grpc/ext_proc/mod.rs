//! Envoy's external processing: a lock around each request that a proxy serves.
//!
//! The proxy makes a call for each request, reports when the request's headers have come, and waits for the answer. The
//! call ends with the request, however that ends, and the lock with it.
//!
//! The protocol is that of Envoy 1.40 (`api/envoy/service/ext_proc/v3/external_processor.proto`).
//!
//! | module | what lives there |
//! |---|---|
//! | `exchange` | one call: from the steps of a request to their answers |
//! | `locks` | the edge locks, and which one a request takes |
//! | `crowd` | how many requests wait for each lock |
//! | `held` | a lock that a request holds, until its call ends |
//! | `request` | the headers of a request |
//! | `reply` | the answers |
//! | `metrics` | the metrics of requests |

mod crowd;
mod exchange;
mod held;
mod locks;
mod metrics;
mod reply;
mod request;

pub(super) use self::{exchange::process, locks::EdgeLocks};

/// The service's full name.
pub(super) const SERVICE: &str = "envoy.service.ext_proc.v3.ExternalProcessor";

/// The path of its only method.
pub(super) const PROCESS: &str = "/envoy.service.ext_proc.v3.ExternalProcessor/Process";

/// The metadata of a call that names the edge lock. It is the proxy's configuration: headers of its clients do not get
/// there.
const NAME: &str = "holdfast-edge-lock";

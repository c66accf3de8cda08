//! Locks over stores: the handle that embedders, plugins and transports call.
//!
//! | module | what lives there |
//! |---|---|
//! | `handle` | [`Locks`] and its verbs |
//! | `builder` | [`LocksBuilder`] |
//! | `drive` | a call from its first step to its answer |
//! | `lease` | [`Locks::acquire`] and the other verbs of leases |
//! | `admin` | the verbs of operators |
//! | `grant` | taking a lease: tries, and the waits between them |
//! | `keep` | [`Lease`]: a lease that is renewed in the background |
//! | `renewal` | when such a lease is renewed, and when it is lost |
//! | `loss` | detecting a loss, as the store reports it |
//! | `release_later` | releases in the background |
//! | `owner` | fresh owners, for callers that name no owner |
//! | `wait` | the lines of callers that wait for the same lock |
//! | `pace` | how often the host acts on a store's notifications |
//! | `store_calls` | store operations without the rules, for a component that contains the rules |
//! | `app` | the stores that one application may use |
//! | `store` | a store under its name, measured |
//! | `admission` | how many calls are in flight, and how many may wait |
//! | `answers` | the answers to ordinary outcomes, remembered |
//! | `calls`, `result` | the counts and traces of a call |
//! | `hold_times` | how long locks are held |
//! | `metrics`, `spans` | the handles of metrics, and the spans |

mod admin;
mod admission;
mod answers;
mod app;
mod builder;
mod calls;
mod drive;
mod grant;
mod handle;
mod hold_times;
mod keep;
mod lease;
mod loss;
mod metrics;
mod owner;
mod pace;
mod release_later;
pub mod renewal;
mod result;
mod spans;
mod store;
mod store_calls;
mod wait;

pub use builder::LocksBuilder;
pub use handle::{Attempt, JsonReply, Locks, Resource};
pub use keep::Lease;
pub use renewal::Lost;
pub use spans::SPAN_DETAILS;

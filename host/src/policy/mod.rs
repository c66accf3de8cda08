//! Dapr's resiliency policies on the calls of a store: a timeout for each try, more tries, and a
//! circuit breaker.
//!
//! Here live the policies, by name and as they apply to a store; [`ResilientStore`] carries them
//! out. What files say is read in [`resources`](crate::resources). What applies is what daprd
//! 1.18 (`pkg/resiliency`) applies to a component's outbound calls, except that nothing is ever
//! sent again that may have taken a lock.

mod breaker;
mod counts;
mod metrics;
mod named;
mod parts;
mod retry;
mod store;
mod trip;

pub use self::{
    breaker::CircuitBreaker,
    named::{PolicyNames, Resiliency},
    retry::{Backoff, Retry},
    store::{Policy, ResilientStore},
    trip::{Trip, TripError},
};

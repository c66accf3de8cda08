//! Dapr's resiliency policies on the calls of a store: a timeout for each try, retries, and a circuit
//! breaker.
//!
//! [`Policy`] is the policy of one store, and [`ResilientStore`] carries it out. [`Resiliency`] has policies by name;
//! the feature `resources` reads it from files. The policies are those that daprd 1.18 (`pkg/resiliency`) applies to
//! the outbound calls of a component, with one exception: a command that may have taken a lock is never sent again.
//!
//! | module | what lives there |
//! |---|---|
//! | `store` | [`Policy`], and [`ResilientStore`], which applies it to its calls |
//! | `named` | [`Resiliency`]: policies by name, and the policies of each store |
//! | `retry` | how often a call is retried, and when |
//! | `breaker`, `counts`, `trip` | the circuit breaker, its counts, and when it opens |
//! | `one_line` | a policy as one line of text |
//! | `metrics` | the metrics of a policy and its circuit breaker |

mod breaker;
mod counts;
mod metrics;
mod named;
mod one_line;
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

//! Runs the lock component: the engine, the pool of its instances, and the clock of their deadline.
//!
//! | module | what lives there |
//! |---|---|
//! | `engine` | the engine, which runs the lock component and nothing else |
//! | `instance` | one instance |
//! | `pool` | the instances that are kept warm |
//! | `scopes` | the applications whose stores an instance must know |
//! | `clock` | the clock of the step deadline |
//! | `metrics` | the metrics of instances |

mod clock;
mod engine;
mod instance;
mod metrics;
mod pool;
mod scopes;

pub(crate) use pool::Pool;
pub(crate) use scopes::Scope;

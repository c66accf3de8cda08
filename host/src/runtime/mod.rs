//! Runs the lock component: the engine, the pool of its instances, and the clock of their deadline.

mod clock;
mod engine;
mod instance;
mod metrics;
mod pool;
mod scopes;

pub(crate) use pool::Pool;
pub(crate) use scopes::Scope;

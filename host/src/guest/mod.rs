//! The lock component, running: an engine for it, its instances, and a pool that keeps some warm.
//!
//! Only the component's pure steps are called here. Nothing of a store's I/O is known.

mod clock;
mod engine;
mod instance;
mod metrics;
mod pool;

pub(crate) use instance::{Instance, Scope};
pub(crate) use pool::Pool;

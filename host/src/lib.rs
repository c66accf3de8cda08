//! Holdfast: a distributed lock for edge runtimes.

pub mod components;
mod error;
mod limits;
mod locks;
pub mod store;

pub use error::{BuildError, Error};
pub use limits::Limits;
pub use locks::{Locks, LocksBuilder, Reply, UnlockStatus};

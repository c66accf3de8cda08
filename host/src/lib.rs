//! Holdfast: a distributed lock for edge runtimes.

mod bindings;
pub mod components;
mod convert;
mod duration;
pub mod embed;
mod error;
mod guest;
mod limits;
mod locks;
pub mod store;

pub use error::{BuildError, Error};
pub use holdfast_component::COMPONENT;
pub use limits::Limits;
pub use locks::{Locks, LocksBuilder, Reply, UnlockStatus};

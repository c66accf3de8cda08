//! Holdfast: a distributed lock for edge runtimes.

mod bindings;
pub mod components;
mod convert;
mod duration;
pub mod embed;
mod error;
mod guest;
#[cfg(feature = "http")]
pub mod http;
mod limits;
mod locks;
pub mod open;
pub mod store;

pub use error::{BuildError, Error};
pub use holdfast_component::COMPONENT;
pub use limits::Limits;
pub use locks::{Locks, LocksBuilder, Reply, UnlockStatus};

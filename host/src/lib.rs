//! Holdfast: a distributed lock for edge runtimes.

pub mod components;
mod duration;
pub mod store;

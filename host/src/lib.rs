//! Holdfast: a distributed lock for edge runtimes.

pub mod components;
pub mod store;

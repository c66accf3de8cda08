//! Programs and servers that tests start, prepared below `target/` with the tools of their languages.
//!
//! - `group.rs`: programs that are chosen together, and when one is prepared again.
//! - `sdks.rs`, `hosts.rs`, `servers.rs`, `clocks.rs`, `checkers.rs`, `plugins.rs`: the groups.
//! - `packages.rs`: the packages that a program names, from npm and PyPI.
//! - `plugin_wit.rs`: the WIT that plugins are built with.

mod checkers;
mod clocks;
mod group;
mod hosts;
mod packages;
pub mod plugin_wit;
mod plugins;
mod sdks;
mod servers;

pub use checkers::CHECKERS;
pub use clocks::CLOCKS;
pub use hosts::HOSTS;
pub use plugins::PLUGINS;
pub use sdks::SDKS;
pub use servers::SERVERS;

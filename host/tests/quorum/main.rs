//! The store over several stores, on nodes with faults.
//!
//! - `node.rs`: such a node, which is a store in memory behind a faulty network.
//! - `acquire.rs`: every outcome of every node, in every order.
//! - `leaving.rs`: callers who leave, and answers that come late.
//! - `contention.rs`: several callers at once.
//! - `fencing.rs`: fencing tokens that grow although clocks differ.
//! - `others.rs`: the other calls that a majority decides.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod acquire;
mod contention;
mod fencing;
mod leaving;
mod node;
mod others;

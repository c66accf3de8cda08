//! A proxy-wasm filter that takes a lock around each request that an edge lock matches.
//!
//! It is a core module for ABI 0.2.1, which Envoy and others run. It asks Holdfast over HTTP, by call-outs of the
//! proxy. The proxy runs it in one VM for each of its threads, and calls it for one event at a time.
//!
//! | module | what lives there |
//! |---|---|
//! | [`host`] | what the filter asks the proxy to do |
//! | [`pairs`] | headers in the form in which they cross the ABI |
//! | [`request`] | the headers of a request |
//! | [`settings`] | the plugin's configuration |
//! | [`owners`] | owners of locks, new for each try |
//! | [`line`](mod@line) | the requests of a VM that want the same lock, in their order |
//! | [`release`] | the release of a lock: one call, or more if that fails |
//! | [`deadlines`] | events that are due at a later time |
//! | [`filter`] | the events of requests under one configuration |
//! | [`vm`] | which configuration an event belongs to |
//! | `imports` | the functions of the proxy, as a [`Host`](host::Host) |
//! | `exports` | the functions that the proxy calls |
//!
//! The ABI is written by hand, because the SDK for Rust drops the answer to a call-out whose request is gone, and the
//! lock with it.

#![no_std]

extern crate alloc;
extern crate holdfast_abi as _;

pub mod deadlines;
#[cfg(target_family = "wasm")]
mod exports;
pub mod filter;
pub mod host;
#[cfg(target_family = "wasm")]
mod imports;
pub mod line;
pub mod owners;
pub mod pairs;
pub mod release;
pub mod request;
pub mod settings;
pub mod vm;

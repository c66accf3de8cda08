//! The rules of the Holdfast lock.
//!
//! Everything that Dapr's lock API decides is decided here, and nothing else is: no HTTP server,
//! no Redis and no clock is known. The rules are ordinary functions, usable natively; built for
//! `wasm32-wasip2` the crate is the component `holdfast:lock/guest`, which imports nothing but
//! `holdfast:lock/store`.
//!
//! | module | what lives there |
//! |---|---|
//! | [`scope`] | the stores of an application, and how each one makes its keys |
//! | [`request`] | the checks of a request, in Dapr's order |
//! | [`verdict`] | what a store's outcome means to the caller |
//! | [`message`] | every message, word for word |
//! | [`json`] | the wire form of Dapr's HTTP API |
//! | [`bindings`] | the types and traits that the contract in `wit/` generates |

#![no_std]

extern crate alloc;
extern crate holdfast_abi as _;

pub mod bindings;
pub mod json;
pub mod message;
pub mod request;
pub mod scope;
pub mod verdict;

mod component;

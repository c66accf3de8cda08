//! The rules of the Holdfast lock, as plain functions.
//!
//! This crate makes every decision of Dapr's lock API and nothing else: it knows no HTTP server, no
//! Redis and no clock. The lock component links it and exports the rules to every WebAssembly runtime;
//! native code that needs the same decisions without a component links it directly.
//!
//! A function named `begin` checks a call and returns the one store operation to carry out. A function
//! named `end` turns the outcome of that operation into the verdict, unless the outcome is the verdict.
//!
//! | module | what lives there |
//! |---|---|
//! | [`types`] | the values of the contract in `wit/types.wit`, generated |
//! | [`scope`] | the stores of an application, and how each one makes its keys |
//! | [`try_lock`], [`unlock`], [`acquire`], [`extend`], [`inspect`], [`list_locks`], [`force_release`] | one verb each: its checks, and the verdict for each outcome |
//! | [`lasting`] | the calls that a server makes of an acquire and an inspect: the checks of their own fields |
//! | [`json`] | the verbs in the wire form of Dapr's HTTP API |
//! | `check` | the checks that several verbs share |
//! | [`steps`] | all verbs in all forms behind two functions, for a host that drives the store |
//! | [`message`] | every message, word for word |
//! | [`field`] | which field a message is about |
//! | `bindings` | what `wit-bindgen` generates |
//!
//! ```
//! use holdfast_rules::{
//!     scope::Scope,
//!     try_lock,
//!     types::{Acquired, Grant, StoreInfo},
//! };
//!
//! let info = StoreInfo {
//!     name: "lockstore".into(),
//!     key_prefix: None,
//!     app_id: "shop".into(),
//! };
//! let scope = Scope::new(&[info])?;
//! let step = try_lock::begin(scope.named("lockstore"), "order-17", true, 60_000).unwrap();
//! assert_eq!(step.key, "lock||shop||order-17");
//!
//! // The store sets the key to `worker-1` for `step.ttl` milliseconds.
//! let acquired = Acquired::Granted(Grant { fencing_token: None, valid_for: None });
//! assert!(try_lock::end(acquired));
//! # Ok::<(), String>(())
//! ```

#![no_std]

extern crate alloc;

pub mod acquire;
mod bindings;
mod check;
pub mod extend;
pub mod field;
pub mod force_release;
pub mod inspect;
pub mod json;
pub mod lasting;
pub mod list_locks;
pub mod message;
pub mod scope;
pub mod steps;
pub mod try_lock;
pub mod types;
pub mod unlock;

/// The longest time that a call may ask for, in milliseconds: the largest number of seconds in Dapr's API.
pub const MAX_TIME: u64 = i32::MAX as u64 * 1000;

//! The lock's store in Redis, for runtimes that are not ours: a component that exports
//! `holdfast:lock/store` and speaks to Redis over WASI sockets (WASI 0.2).
//!
//! Composed with the lock component it makes one that a stock runtime runs. Settings come from the
//! environment. Settings, commands and retries are the library's (`holdfast-redis-rules`), so this store
//! and the library's exclude each other, and both exclude daprd.
//!
//! An instance serves one call at a time over one connection, which it opens at its first call and
//! keeps. It cannot work between calls, which decides what becomes of a command whose reply does not
//! come:
//!
//! - What was not handed over to the network completely was not done, and is tried again.
//! - What was handed over and not answered has an unknown outcome. It is never sent again, and its
//!   connection is closed. A server that stands still has the command in its buffers all the same, and
//!   carries it out when it goes on.
//! - So `held-until` of an acquire allows for a server that takes the command up as late as the time to
//!   live after the answer, 30 seconds at most. One that stands still for longer can exceed it.
//! - Nothing is given back. A release on another connection may overtake the acquire, and one at a
//!   later call may end a newer hold of the same owner. The owner may unlock; else the lock runs out.
//!
//! | module | what lives there |
//! |---|---|
//! | `component` | the export: which store a call is for |
//! | `stores` | the stores that the environment describes |
//! | `environment` | a setting's variables, and which of them counts |
//! | `redis` | acquire and release, and when they are tried again |
//! | `connection` | one socket: sending, and waiting for a reply |
//! | `dial` | opening it: name lookup, login, and the server's fitness |
//! | `time` | deadlines and pauses |
//! | [`bindings`] | the types and traits that the contract in `wit/` generates |

#![no_std]

extern crate alloc;
extern crate holdfast_abi as _;

pub mod bindings;

mod component;
mod connection;
mod dial;
mod environment;
mod redis;
mod stores;
mod time;

//! A store in Redis for stock runtimes: a component that exports `holdfast:lock/store` and talks to Redis
//! over WASI sockets (WASI 0.2).
//!
//! Composed with the lock component, it makes a component that a stock runtime runs. Its settings come from the
//! environment. It shares their meaning, the commands and the retries with the library (`holdfast-redis-rules`), so
//! this store and the library's exclude each other, and both exclude daprd.
//!
//! An instance serves one call at a time over one connection, which it opens at its first call and
//! keeps. It cannot work between calls. For a command without a reply this means:
//!
//! - A command that was not handed to the network completely was not done, and is tried again.
//! - A command that was handed over and not answered has an unknown outcome. It is never sent again, and
//!   its connection is closed. A server that stalls still has the command in its buffers, and runs it
//!   when it goes on.
//! - A lock expires at a time of the server's clock, so the `held-until` of an acquire is exact. If a server does not
//!   report its clock or is older than Redis 6.2, the store assumes that the server runs the command within the time to
//!   live after it was sent, or within 30 seconds if that is shorter.
//! - The store gives back a grant whose reply comes too late. If a grant comes after the call has ended, the store
//!   cannot give it back: unless the owner unlocks, the lock expires.
//!
//! | module | what lives there |
//! |---|---|
//! | `component` | the export: finds the store of a call |
//! | `stores` | the stores that the environment describes |
//! | `environment` | the environment variables of a setting |
//! | `redis` | the operations on keys, with their retries |
//! | `connection` | one connection: sending, and waiting for a reply |
//! | `dial` | opening a connection: name lookup, TCP, login, the check of the server |
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

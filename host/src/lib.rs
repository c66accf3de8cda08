//! Holdfast: a distributed lock for edge runtimes.
//!
//! The rules of the lock are a WebAssembly component, [`COMPONENT`]. This library runs it, lends it stores, and gives
//! the result to the caller: a program that embeds the library, or a plugin in that program's wasmtime. The command
//! `holdfast`, in the package `holdfast-sidecar`, serves the same locks over Dapr's HTTP and gRPC APIs.
//!
//! ```
//! use std::{sync::Arc, time::Duration};
//!
//! use holdfast::{Attempt, Locks, Resource, UnlockStatus, store::memory::MemoryStore};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let locks = Locks::builder()
//!     .app_id("shop")
//!     .store("lockstore", Arc::new(MemoryStore::new()))
//!     .build()?;
//!
//! let order = Resource { store: "lockstore", id: "order-17" };
//! let minute = Duration::from_secs(60);
//! assert_eq!(locks.try_lock(order, "worker-1", minute).await?, Attempt::Acquired);
//! assert_eq!(locks.try_lock(order, "worker-2", minute).await?, Attempt::Held);
//! assert_eq!(locks.unlock(order, "worker-1").await?, UnlockStatus::Success);
//! # Ok(())
//! # }
//! ```
//!
//! With Redis the store is a [`RedisStore`](store::redis::RedisStore); plugins get their locks by
//! [`embed::lock::add_to_linker`].
//!
//! No feature is on by default:
//!
//! | feature | what it adds |
//! |---|---|
//! | `redis` | [`store::redis`]: locks in Redis |
//! | `resiliency` | [`policy`]: timeouts, retries and circuit breakers on the calls of a store |
//! | `resources` | [`resources`]: stores and policies from Dapr's resource files; implies the others |
//!
//! | module | what lives there |
//! |---|---|
//! | `locks` | [`Locks`], the handle for all calls: a step of the component, the store, the verdict |
//! | [`store`] | what a lock needs of a store; stores in Redis, in memory, in a majority of servers |
//! | [`policy`] | timeouts, retries and circuit breakers on the calls of a store |
//! | [`embed`] | locks for components in an embedder's own wasmtime |
//! | [`resources`] | Dapr's resource files: the stores, and the policies for each |
//! | [`metrics`] | all metrics and their labels |
//! | [`input_file`], [`authorities`] | files that a user names, up to a maximum size; the certificates in them |
//! | `runtime` | the instances of the lock component: an engine, a pool, the clock of their deadline |
//! | `error`, `limits` | [`Error`] and [`BuildError`]; [`Limits`] of the calls and the instances |
//! | `types`, `bindings` | the values of the contract in `wit/`, generated |
//! | `lowercase` | lower case as in daprd, for the text of keys |

#[cfg(feature = "redis")]
pub mod authorities;
mod bindings;
pub mod embed;
mod error;
#[cfg(feature = "redis")]
pub mod input_file;
mod limits;
mod locks;
mod lowercase;
pub mod metrics;
#[cfg(feature = "resiliency")]
pub mod policy;
#[cfg(feature = "resources")]
pub mod resources;
mod runtime;
pub mod store;
pub mod types;

pub use error::{BuildError, Error};
pub use holdfast_component::COMPONENT;
pub use limits::Limits;
// For the command `holdfast`, which renews the locks of a server by the same schedule. It is not part of the interface.
#[doc(hidden)]
pub use locks::renewal;
pub use locks::{Attempt, JsonReply, Lease, Locks, LocksBuilder, Lost, Resource, SPAN_DETAILS};
pub use types::{
    Error as LockError, Extended, HeldLock, Holding, LeaseOptions, LockPage, Reply, UnlockStatus,
    Verb,
};
pub use wasmtime;

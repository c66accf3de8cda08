//! Locks for components that run in an embedder's own wasmtime, in two forms.
//!
//! - [`lock`]: a plugin imports `holdfast:lock/lock`, and this library runs the lock component for it.
//! - [`store`]: a component is already composed with the lock component, and needs only the store that
//!   is left to import.
//!
//! Both go into a [`Linker`](wasmtime::component::Linker) of the embedder's own type, whose components
//! are instantiated and called asynchronously (`instantiate_async`, `call_async`).
//!
//! ```
//! use holdfast::{
//!     Locks,
//!     embed::lock::{self, LockView},
//! };
//! use wasmtime::{Config, Engine, component::Linker};
//!
//! /// The embedder's state of one plugin.
//! struct Plugin {
//!     locks: Locks,
//! }
//!
//! # fn main() -> wasmtime::Result<()> {
//! let engine = Engine::new(&Config::new())?;
//! let mut linker = Linker::<Plugin>::new(&engine);
//! lock::add_to_linker(&mut linker, |plugin| LockView { locks: &plugin.locks })?;
//! # Ok(())
//! # }
//! ```

pub mod lock;
pub mod store;

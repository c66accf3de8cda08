//! Locks for components that run in an embedder's own wasmtime, in three forms.
//!
//! - [`lock`]: a plugin imports `holdfast:lock/lock` or `holdfast:lock/lease`, and this library runs the lock component
//!   for it.
//! - [`admin`]: a component of an operator imports `holdfast:lock/admin` too. The embedder must link it explicitly.
//! - [`store`]: a component contains the lock component already, and imports only `holdfast:lock/store`.
//!
//! The embedder adds each to a [`Linker`](wasmtime::component::Linker) of its own type, and instantiates and calls its
//! components asynchronously (`instantiate_async`, `call_async`).
//!
//! Plugins of most languages import WASI as well: a plain Rust plugin imports `wasi:io`. The embedder
//! links it with the crate `wasmtime-wasi`, of the same version as [`holdfast::wasmtime`](crate::wasmtime):
//!
//! ```toml
//! [dependencies]
//! holdfast = { path = "../holdfast/host" }
//! tokio = { version = "1", features = ["rt-multi-thread"] }
//! wasmtime-wasi = "48"
//! ```
//!
//! ```
//! use holdfast::{
//!     embed::lock::{self, LockCtx, LockView},
//!     wasmtime::{
//!         self, Engine,
//!         component::{Linker, ResourceTable},
//!     },
//! };
//! use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};
//!
//! /// The embedder's state of one plugin.
//! struct Plugin {
//!     locks: LockCtx,
//!     wasi: WasiCtx,
//!     table: ResourceTable,
//! }
//!
//! impl WasiView for Plugin {
//!     fn ctx(&mut self) -> WasiCtxView<'_> {
//!         WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
//!     }
//! }
//!
//! fn linker(engine: &Engine) -> wasmtime::Result<Linker<Plugin>> {
//!     let mut linker = Linker::new(engine);
//!     wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
//!     lock::add_to_linker(&mut linker, |plugin: &mut Plugin| LockView { ctx: &mut plugin.locks })?;
//!     Ok(linker)
//! }
//! # linker(&Engine::default()).unwrap();
//! ```

pub mod admin;
mod leases;
pub mod lock;
pub mod store;

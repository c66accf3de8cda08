//! Locks for components that run in an embedder's own wasmtime, in two forms.
//!
//! - [`lock`]: a plugin imports `holdfast:lock/lock`, and this library runs the lock component for it.
//! - [`store`]: a component is already composed with the lock component, and needs only the store that
//!   is left to import.
//!
//! Both go into a [`Linker`](wasmtime::component::Linker) of the embedder's own type, whose components
//! are instantiated and called asynchronously (`instantiate_async`, `call_async`).

pub mod lock;
pub mod store;

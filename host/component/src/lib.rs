//! The lock component: its bytes, and its machine code, compiled when this crate was built.
//!
//! Loading machine code is the only thing that a host cannot do without `unsafe`. This crate does only that, so that
//! the rest of the host can forbid `unsafe`.

mod config;

pub use config::{compact_config, config};

use wasmtime::{Engine, Result, component::Component};

/// The lock component in the form that any runtime takes.
pub const COMPONENT: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/holdfast_guest.wasm"));

const COMPILED: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/holdfast_guest.cwasm"));

const COMPACT: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/holdfast_guest_compact.cwasm"));

/// Loads the compiled component into an engine, within a fraction of a millisecond.
///
/// # Errors
///
/// If the engine's settings differ from those of [`config()`], except in memory allocation, or the processor is of
/// another kind.
pub fn load(engine: &Engine) -> Result<Component> {
    deserialize(engine, COMPILED)
}

/// Loads the compact form of the compiled component.
///
/// # Errors
///
/// If the engine's settings differ from those of [`compact_config()`], as for [`load`].
pub fn load_compact(engine: &Engine) -> Result<Component> {
    deserialize(engine, COMPACT)
}

/// `compiled` is one of the two constants above.
fn deserialize(engine: &Engine, compiled: &'static [u8]) -> Result<Component> {
    // SAFETY: `Engine::precompile_component` gave these bytes to this crate's build script, in the same version of
    // wasmtime. Nothing has changed them since.
    #[allow(unsafe_code)]
    unsafe {
        Component::deserialize(engine, compiled)
    }
}

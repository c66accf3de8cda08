//! The lock component: its bytes, and its machine code, compiled when this crate was built.
//!
//! Loading machine code is the one thing that a host cannot do without `unsafe`. It is here, alone,
//! so that everything else of the host can forbid it.

mod config;

pub use config::config;

use wasmtime::{Engine, Result, component::Component};

/// The lock component, as any runtime takes it.
pub const COMPONENT: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/holdfast_guest.wasm"));

const COMPILED: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/holdfast_guest.cwasm"));

/// Loads the compiled component into an engine, within a fraction of a millisecond.
///
/// # Errors
///
/// Where the engine's settings are not those of [`config()`], beyond what concerns memory allocation,
/// or the processor is of another kind.
pub fn load(engine: &Engine) -> Result<Component> {
    // SAFETY: the bytes are what `Engine::precompile_component` gave this crate's build script, of the
    // same version of wasmtime; nothing has touched them since.
    #[allow(unsafe_code)]
    unsafe {
        Component::deserialize(engine, COMPILED)
    }
}

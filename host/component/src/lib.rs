//! The lock component: its bytes, and its machine code, compiled when this crate was built.
//!
//! Loading machine code is the one thing that a host cannot do without `unsafe`. It is here, alone,
//! so that everything else of the host can forbid it.

mod config;

pub use config::{compact_config, config};

use wasmtime::{Engine, Result, component::Component};

/// The lock component, as any runtime takes it.
pub const COMPONENT: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/holdfast_guest.wasm"));

const COMPILED: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/holdfast_guest.cwasm"));

const COMPACT: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/holdfast_guest_compact.cwasm"));

/// Loads the compiled component into an engine, within a fraction of a millisecond.
///
/// # Errors
///
/// Where the engine's settings are not those of [`config()`], beyond what concerns memory allocation,
/// or the processor is of another kind.
pub fn load(engine: &Engine) -> Result<Component> {
    deserialize(engine, COMPILED)
}

/// Loads the compact form of the compiled component.
///
/// # Errors
///
/// Those of [`load`], with the settings of [`compact_config()`].
pub fn load_compact(engine: &Engine) -> Result<Component> {
    deserialize(engine, COMPACT)
}

/// `compiled` is one of the two above.
fn deserialize(engine: &Engine, compiled: &'static [u8]) -> Result<Component> {
    // SAFETY: the bytes are what `Engine::precompile_component` gave this crate's build script, of the
    // same version of wasmtime; nothing has touched them since.
    #[allow(unsafe_code)]
    unsafe {
        Component::deserialize(engine, compiled)
    }
}

//! The lock component and its compositions, for runtimes that are not ours.
//!
//! A stock runtime lends WASI and nothing else, so the lock component's `store` has to be composed with
//! it. The files are the same bytes whenever they are made of the same parts.
//!
//! - [`all`] says which there are (this file).
//! - `compose.rs` puts parts together, `strip.rs` takes out what only debuggers read.

mod compose;
mod strip;

pub use compose::Error;
use compose::{Adapter, Part, compose};

const LOCK: Part = Part { name: "holdfast:guest", wasm: include_bytes!(env!("HOLDFAST_LOCK")) };
const REDIS_STORE: Part =
    Part { name: "holdfast:redis-store", wasm: include_bytes!(env!("HOLDFAST_REDIS_STORE")) };
const DAPR_HTTP: Part =
    Part { name: "holdfast:dapr-http", wasm: include_bytes!(env!("HOLDFAST_DAPR_HTTP")) };
const CLI: Part = Part { name: "holdfast:cli", wasm: include_bytes!(env!("HOLDFAST_CLI")) };

/// A component as a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Composition {
    /// The file's name.
    pub name: &'static str,
    /// Its bytes.
    pub wasm: Vec<u8>,
}

/// All of them.
///
/// # Errors
///
/// Where the parts do not fit together.
pub fn all() -> Result<[Composition; 4], Error> {
    Ok([lock(), lock_redis()?, lock_http()?, lock_cli()?])
}

/// The lock component alone. It imports `holdfast:lock/store`, for somebody else to lend.
pub fn lock() -> Composition {
    Composition { name: "holdfast-lock.wasm", wasm: LOCK.wasm.to_vec() }
}

/// With its store in Redis: exports `lock`, for plugins and for shells.
///
/// # Errors
///
/// Where the parts do not fit together.
pub fn lock_redis() -> Result<Composition, Error> {
    let wasm = compose(&REDIS_STORE, &LOCK, None)?;
    Ok(Composition { name: "holdfast-lock-redis.wasm", wasm })
}

/// The same behind Dapr's HTTP API: exports `wasi:http/incoming-handler`.
///
/// # Errors
///
/// Where the parts do not fit together.
pub fn lock_http() -> Result<Composition, Error> {
    let adapter = Adapter {
        part: &DAPR_HTTP,
        needs: &[compose::JSON, compose::STORE],
        export: "wasi:http/incoming-handler",
    };
    let wasm = compose(&REDIS_STORE, &LOCK, Some(&adapter))?;
    Ok(Composition { name: "holdfast-lock-http.wasm", wasm })
}

/// The same as a command: exports `wasi:cli/run`.
///
/// # Errors
///
/// Where the parts do not fit together.
pub fn lock_cli() -> Result<Composition, Error> {
    let adapter =
        Adapter { part: &CLI, needs: &[compose::LOCK, compose::JSON], export: "wasi:cli/run" };
    let wasm = compose(&REDIS_STORE, &LOCK, Some(&adapter))?;
    Ok(Composition { name: "holdfast-lock-cli.wasm", wasm })
}

//! The lock component and its compositions, for stock runtimes.
//!
//! A stock runtime provides WASI and nothing else, so the lock component is composed with a component that
//! exports `store`. The same parts always give the same bytes.
//!
//! - `lib.rs` lists the compositions.
//! - `compose.rs` links components to each other.
//! - `strip.rs` removes debug names.

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

/// A component and the name of its file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Composition {
    /// The name of the file.
    pub name: &'static str,
    /// The bytes of the file.
    pub wasm: Vec<u8>,
}

/// All compositions.
///
/// # Errors
///
/// If the imports of a part do not match the exports of another.
pub fn all() -> Result<[Composition; 4], Error> {
    Ok([lock(), lock_redis()?, lock_http()?, lock_cli()?])
}

/// The lock component alone. It imports `holdfast:lock/store`.
pub fn lock() -> Composition {
    Composition { name: "holdfast-lock.wasm", wasm: LOCK.wasm.to_vec() }
}

/// The lock component with its store in Redis. It exports `lock`, for plugins and shells.
///
/// # Errors
///
/// If the imports of a part do not match the exports of another.
pub fn lock_redis() -> Result<Composition, Error> {
    let wasm = compose(&REDIS_STORE, &LOCK, None)?;
    Ok(Composition { name: "holdfast-lock-redis.wasm", wasm })
}

/// [`lock_redis`] behind Dapr's HTTP API. It exports `wasi:http/incoming-handler`.
///
/// # Errors
///
/// If the imports of a part do not match the exports of another.
pub fn lock_http() -> Result<Composition, Error> {
    let adapter = Adapter {
        part: &DAPR_HTTP,
        imports: &[compose::JSON, compose::STORE],
        export: "wasi:http/incoming-handler",
    };
    let wasm = compose(&REDIS_STORE, &LOCK, Some(&adapter))?;
    Ok(Composition { name: "holdfast-lock-http.wasm", wasm })
}

/// [`lock_redis`] as a command. It exports `wasi:cli/run`.
///
/// # Errors
///
/// If the imports of a part do not match the exports of another.
pub fn lock_cli() -> Result<Composition, Error> {
    let adapter =
        Adapter { part: &CLI, imports: &[compose::LOCK, compose::JSON], export: "wasi:cli/run" };
    let wasm = compose(&REDIS_STORE, &LOCK, Some(&adapter))?;
    Ok(Composition { name: "holdfast-lock-cli.wasm", wasm })
}

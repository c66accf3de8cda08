//! The lock component and its compositions, for stock runtimes.
//!
//! A stock runtime provides WASI and nothing else, so the lock component is composed with a component that
//! exports `store`. The same parts always give the same bytes.
//!
//! - `lib.rs` lists the compositions and their parts.
//! - `compose.rs` links components to each other. They are instances of parts (`instance.rs`) whose imports and exports
//!   `names.rs` names.
//! - `strip.rs` removes debug names.
//! - `error.rs` says why components cannot be linked.

mod compose;
mod error;
mod instance;
mod names;
mod strip;

use compose::{Adapter, compose, compose_plugin};
pub use error::Error;
use instance::Part;

const LOCK: Part<'_> = Part { name: "holdfast:guest", wasm: include_bytes!(env!("HOLDFAST_LOCK")) };
const REDIS_STORE: Part<'_> =
    Part { name: "holdfast:redis-store", wasm: include_bytes!(env!("HOLDFAST_REDIS_STORE")) };
const DAPR_HTTP: Part<'_> =
    Part { name: "holdfast:dapr-http", wasm: include_bytes!(env!("HOLDFAST_DAPR_HTTP")) };
const CLI: Part<'_> = Part { name: "holdfast:cli", wasm: include_bytes!(env!("HOLDFAST_CLI")) };

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

/// The lock component with its store in Redis. It exports `lock` and `lease`, for plugins and shells.
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
        imports: &[names::JSON, names::STORE],
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
        Adapter { part: &CLI, imports: &[names::LOCK, names::JSON], export: "wasi:cli/run" };
    let wasm = compose(&REDIS_STORE, &LOCK, Some(&adapter))?;
    Ok(Composition { name: "holdfast-lock-cli.wasm", wasm })
}

/// A plugin with the lock component and its store in Redis. It has the exports of the plugin. It has the imports of
/// [`lock_redis`], and those of the plugin other than `lock`, `lease` and `json`.
///
/// # Errors
///
/// If `wasm` is not a component, imports none of `lock`, `lease` and `json` or another version of them, or imports an
/// interface of the contract that is not for plugins, such as `store`.
pub fn plugin(wasm: &[u8]) -> Result<Vec<u8>, Error> {
    compose_plugin(&REDIS_STORE, &LOCK, &Part { name: "the plugin", wasm })
}

/// The parts of the compositions, each in a file with the name of its package. The published package carries these
/// components, because it has no source of them.
pub fn parts() -> [Composition; 4] {
    let part = |name, Part { wasm, .. }: &Part<'_>| Composition { name, wasm: wasm.to_vec() };
    [
        part("holdfast-guest.wasm", &LOCK),
        part("holdfast-redis-store.wasm", &REDIS_STORE),
        part("holdfast-dapr-http.wasm", &DAPR_HTTP),
        part("holdfast-cli.wasm", &CLI),
    ]
}

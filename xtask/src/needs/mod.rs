//! Tools that commands need from this machine: found, or fetched and kept below `target/`.
//!
//! - `c_compiler.rs`: the C compiler, for linking and for the TLS library.
//! - `wasm_target.rs`: the compiler of the components.
//! - `musl.rs`: the compiler of static binaries.
//! - `redis.rs`: the redis-server that tests start.
//! - `debian.rs`: Debian packages, unpacked without installing them.

pub mod c_compiler;
pub mod debian;
pub mod musl;
pub mod redis;
pub mod wasm_target;

//! The target of components, and the variable that chooses their compiler.

/// The target that every component is built for.
pub const TARGET: &str = "wasm32-wasip2";

/// The variable that chooses the toolchain: `rustup` or `debian`.
pub const CHOICE: &str = "HOLDFAST_WASM_TOOLCHAIN";

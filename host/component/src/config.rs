//! The settings that the compiled code depends on. The build script that compiles the component and the engine that
//! runs it must agree on every line, whatever features of wasmtime either is built with.

/// The settings of an engine that can run the compiled component. Each memory takes more than 4 GiB of
/// addresses, so that its bounds need no checks.
pub fn config() -> wasmtime::Config {
    let mut config = wasmtime::Config::new();
    config
        // The component's exports are synchronous and its steps call nothing. Without the machinery for the rest a call
        // costs half.
        .concurrency_support(false)
        .gc_support(false)
        .wasm_gc(false)
        // The host interrupts a step that does not end.
        .epoch_interruption(true);
    config
}

/// The settings of an engine that can run the compact form of the compiled component. A memory takes as many
/// addresses as it has bytes, and a little more; its bounds are checked.
pub fn compact_config() -> wasmtime::Config {
    let mut config = config();
    config
        .memory_reservation(0)
        .memory_guard_size(64 << 10)
        .memory_reservation_for_growth(1 << 20)
        .guard_before_linear_memory(false);
    config
}

// What the compiled code depends on. The build script that compiles the component and the engine
// that runs it have to agree on every line, whatever features of wasmtime either is built with.

/// The settings of an engine that can run the compiled component.
pub fn config() -> wasmtime::Config {
    let mut config = wasmtime::Config::new();
    config
        // The component's exports are synchronous and its steps call nothing: without the
        // machinery for the rest a call costs half.
        .concurrency_support(false)
        .gc_support(false)
        .wasm_gc(false)
        // A step that does not end is ended from outside.
        .epoch_interruption(true);
    config
}

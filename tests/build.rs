//! Builds the plugin that the tests run.

fn main() {
    match holdfast_wasm_build::component("holdfast-test-plugin") {
        Ok(wasm) => println!("cargo::rustc-env=HOLDFAST_TEST_PLUGIN={}", wasm.display()),
        Err(error) => holdfast_wasm_build::fail(&error),
    }
}

//! Builds the components that the tests run.

fn main() {
    for (package, variable) in [
        ("holdfast-test-plugin", "HOLDFAST_TEST_PLUGIN"),
        ("holdfast-redis-store", "HOLDFAST_REDIS_STORE"),
    ] {
        match holdfast_wasm_build::component(package) {
            Ok(wasm) => println!("cargo::rustc-env={variable}={}", wasm.display()),
            Err(error) => holdfast_wasm_build::fail(&error),
        }
    }
}

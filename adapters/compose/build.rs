//! Builds the components that are composed.

/// The variable with the path of a component, its package, and where that is in a checkout. The name of a
/// folder beside this package could be that of another package in a vendor directory.
const PARTS: [(&str, &str, &str); 4] = [
    ("HOLDFAST_LOCK", "holdfast-guest", "../../guest"),
    ("HOLDFAST_REDIS_STORE", "holdfast-redis-store", "../../adapters/redis-store"),
    ("HOLDFAST_DAPR_HTTP", "holdfast-dapr-http", "../../adapters/dapr-http"),
    ("HOLDFAST_CLI", "holdfast-cli", "../../adapters/cli"),
];

fn main() {
    for (variable, package, source) in PARTS {
        match holdfast_wasm_build::component_or_packaged(package, source) {
            Ok(wasm) => println!("cargo::rustc-env={variable}={}", wasm.display()),
            Err(error) => return holdfast_wasm_build::fail(&error),
        }
    }
}

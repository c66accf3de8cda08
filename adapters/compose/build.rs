//! Builds the components that the compositions link.

/// For each component: the variable for its path, its package, and the path of that package in a checkout. The path
/// starts two folders up, because in a vendor directory a folder beside this package could be another package.
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

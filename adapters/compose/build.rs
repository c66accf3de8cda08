//! Builds the components that are composed.

const PARTS: [(&str, &str); 4] = [
    ("HOLDFAST_LOCK", "holdfast-guest"),
    ("HOLDFAST_REDIS_STORE", "holdfast-redis-store"),
    ("HOLDFAST_DAPR_HTTP", "holdfast-dapr-http"),
    ("HOLDFAST_CLI", "holdfast-cli"),
];

fn main() {
    for (variable, package) in PARTS {
        match holdfast_wasm_build::component(package) {
            Ok(wasm) => println!("cargo::rustc-env={variable}={}", wasm.display()),
            Err(error) => return holdfast_wasm_build::fail(&error),
        }
    }
}

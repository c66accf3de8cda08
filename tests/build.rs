//! Builds the components and the module that the tests run.

use std::path::PathBuf;

use holdfast_wasm_build::{Error, component, module};

type Build = fn(&str) -> Result<PathBuf, Error>;

const BUILT: [(&str, &str, Build); 3] = [
    ("HOLDFAST_TEST_PLUGIN", "holdfast-test-plugin", component),
    ("HOLDFAST_REDIS_STORE", "holdfast-redis-store", component),
    ("HOLDFAST_FILTER", "holdfast-filter", module),
];

fn main() {
    for (variable, package, build) in BUILT {
        match build(package) {
            Ok(wasm) => println!("cargo::rustc-env={variable}={}", wasm.display()),
            Err(error) => holdfast_wasm_build::fail(&error),
        }
    }
}

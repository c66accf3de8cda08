//! Builds the guest into a component and compiles that to machine code, so that a host only loads it.

use std::{env, fs, path::PathBuf};

#[path = "src/config.rs"]
mod config;

#[derive(Debug, thiserror::Error)]
enum Error {
    #[error(transparent)]
    Build(#[from] holdfast_wasm_build::Error),
    #[error("cargo does not say {0}: {1}")]
    Variable(&'static str, #[source] env::VarError),
    #[error("the component cannot be compiled: {0:#}")]
    Compile(#[from] wasmtime::Error),
    #[error("the component cannot be copied: {0}")]
    Copy(#[from] std::io::Error),
}

fn main() {
    println!("cargo::rerun-if-changed=src/config.rs");
    if let Err(error) = build() {
        holdfast_wasm_build::fail(&error);
    }
}

fn build() -> Result<(), Error> {
    let wasm =
        fs::read(holdfast_wasm_build::component_or_packaged("holdfast-guest", "../../guest")?)?;

    let variable = |name| env::var(name).map_err(|error| Error::Variable(name, error));
    let out = PathBuf::from(variable("OUT_DIR")?);
    let target = variable("TARGET")?;
    for (file, mut config) in [
        ("holdfast_guest.cwasm", config::config()),
        ("holdfast_guest_compact.cwasm", config::compact_config()),
    ] {
        // Naming the target makes the code run on every processor of that kind, and not only on the builder's.
        config.target(&target)?;
        let compiled = wasmtime::Engine::new(&config)?.precompile_component(&wasm)?;
        fs::write(out.join(file), compiled)?;
    }
    fs::write(out.join("holdfast_guest.wasm"), wasm)?;
    Ok(())
}

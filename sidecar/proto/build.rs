//! Generates the messages and the services from their definitions; no `protoc` is needed.

use std::{env, fs, path::PathBuf, process::ExitCode};

use prost::Message;

const DEFINITIONS: [&str; 4] = [
    "dapr/proto/runtime/v1/dapr.proto",
    "envoy/service/ext_proc/v3/external_processor.proto",
    "holdfast/lock/v1/leases.proto",
    "holdfast/lock/v1/admin.proto",
];

#[derive(Debug, thiserror::Error)]
enum Error {
    #[error("a definition is wrong: {0}")]
    Definition(#[from] protox::Error),
    #[error("cargo does not say OUT_DIR: {0}")]
    Variable(#[from] env::VarError),
    #[error("the code cannot be written: {0}")]
    Write(#[from] std::io::Error),
}

fn main() -> ExitCode {
    for definition in DEFINITIONS {
        println!("cargo::rerun-if-changed={definition}");
    }
    match generate() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn generate() -> Result<(), Error> {
    let descriptors = protox::compile(DEFINITIONS, ["."])?;
    let out = PathBuf::from(env::var("OUT_DIR")?);
    fs::write(out.join("descriptors.bin"), descriptors.encode_to_vec())?;
    // Without `connect`, a client needs no transport of tonic's.
    tonic_prost_build::configure()
        .build_transport(false)
        .build_server(false)
        .compile_fds(descriptors)?;
    Ok(())
}

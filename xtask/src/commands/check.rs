//! `cargo xtask check`: the checks of CI besides the tests.

use anyhow::Result;
use holdfast_wasm_build::workspace;

use crate::{
    cargo::cargo,
    commands::{figures, layers::layers, links, lint, release_tool, setup::setup},
    process::run,
};

/// Packages outside the workspace, besides the release tool.
const OUTSIDE: [&str; 4] = [
    "tests/fuzz/targets/Cargo.toml",
    "tests/sdk/rust/Cargo.toml",
    "examples/hello-rust/Cargo.toml",
    "examples/single-flight-rust/Cargo.toml",
];

/// Checks format, layers, lints, documentation and its links, and lints the files of `deploy/`.
pub fn check() -> Result<()> {
    let root = workspace::root()?;
    run(cargo()?.args(["fmt", "--all", "--check"]))?;
    for manifest in OUTSIDE {
        run(cargo()?.args(["fmt", "--check", "--manifest-path", manifest]))?;
    }
    layers()?;
    links::check(&root)?;
    figures::check(&root)?;
    lint::deploy(&root)?;
    // Clippy runs build scripts, and one of them builds the guest.
    setup()?;
    release_tool::check()?;
    let clippy = ["clippy", "--workspace", "--all-targets", "--", "-Dwarnings"];
    run(cargo()?.args(clippy))?;
    // In the workspace, other packages turn on features of dependencies that `holdfast` alone may lack.
    let alone = ["clippy", "--package", "holdfast", "--features", "redis", "--", "-Dwarnings"];
    run(cargo()?.args(alone))?;
    let doc = ["doc", "--no-deps", "--workspace"];
    run(cargo()?.args(doc).env("RUSTDOCFLAGS", "-Dwarnings"))
}

//! The plugins in `examples/`, each built as its README describes.

use std::process::Command;

use anyhow::Result;

use super::{
    group::{Group, Place, Program},
    packages::{PYTHON, venv},
    plugin_wit,
};
use crate::{cargo::cargo, files, process::run};

pub const PLUGINS: Group = Group {
    choice: "HOLDFAST_PLUGINS",
    directory: "HOLDFAST_PLUGIN_",
    what: "the plugin in",
    made: "plugins",
    shared: Some(plugin_wit::gather),
    programs: &[
        Program {
            name: "javascript",
            source: Some("examples/single-flight-js"),
            tools: &["node", "npm"],
            version: &["node", "--version"],
            prepare: javascript,
        },
        Program {
            name: "python",
            source: Some("examples/single-flight-python"),
            tools: &["python3"],
            version: PYTHON,
            prepare: python,
        },
        Program {
            name: "rust",
            source: Some("examples/single-flight-rust"),
            tools: &["cargo", "rustc", "sh"],
            // Fails with Debian's toolchain, which has no standard library for this target.
            version: &[
                "sh",
                "-c",
                "ls $(rustc --print target-libdir --target wasm32-wasip2)/libstd-*",
            ],
            prepare: rust,
        },
    ],
};

fn javascript(place: &Place) -> Result<()> {
    files::copy(&place.source, &place.made)?;
    // `npm ci` would refuse a lock file that lacks the optional packages of other platforms.
    let install = ["install", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error"];
    run(Command::new("npm").args(install).current_dir(&place.made))?;
    let mut jco = Command::new("node_modules/.bin/jco");
    jco.args(["componentize", "single-flight.js", "--wit", "../wit"]);
    run(jco.args(["--world-name", "single-flight", "-o", "plugin.wasm"]).current_dir(&place.made))
}

fn python(place: &Place) -> Result<()> {
    files::copy(&place.source, &place.made)?;
    venv(place)?;
    let mut tool = Command::new(place.made.join("venv/bin/componentize-py"));
    tool.args(["--quiet", "--wit-path", "../wit", "--world", "single-flight"]);
    run(tool.args(["componentize", "app", "-o", "plugin.wasm"]).current_dir(&place.made))
}

fn rust(place: &Place) -> Result<()> {
    let manifest = place.source.join("Cargo.toml");
    let mut cargo = cargo()?;
    cargo.args(["build", "--locked", "--release", "--target", "wasm32-wasip2", "--manifest-path"]);
    run(cargo.arg(manifest).arg("--target-dir").arg(&place.made))?;
    let component = place.made.join("wasm32-wasip2/release/single_flight.wasm");
    files::copy_file(&component, &place.made.join("plugin.wasm"))
}

//! The plugins in `examples/`, each built as its README describes: `plugin.wasm` is single-flight, `hello.wasm`
//! is hello. The plugins of a language share one folder and so their packages.

use std::{path::Path, process::Command};

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
            sources: &["examples/single-flight-js", "examples/hello-js"],
            tools: &["node", "npm"],
            version: &["node", "--version"],
            prepare: javascript,
        },
        Program {
            name: "python",
            sources: &["examples/single-flight-python"],
            tools: &["python3"],
            version: PYTHON,
            prepare: python,
        },
        Program {
            name: "rust",
            sources: &["examples/single-flight-rust", "examples/hello-rust"],
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
    files::copy(place.source(), &place.made)?;
    // `npm ci` would refuse a lock file that lacks the optional packages of other platforms.
    let install = ["install", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error"];
    run(Command::new("npm").args(install).current_dir(&place.made))?;
    let jco = |file: &Path, world: &str, more: &[&str]| {
        let mut jco = Command::new("node_modules/.bin/jco");
        jco.arg("componentize").arg(file).args(["--wit", "../wit", "--world-name", world]);
        run(jco.args(more).current_dir(&place.made))
    };
    jco(Path::new("single-flight.js"), "single-flight", &["-o", "plugin.wasm"])?;
    let hello = place.sources[1].join("hello.js");
    jco(&hello, "hello", &["--disable", "all", "-o", "hello.wasm"])
}

fn python(place: &Place) -> Result<()> {
    files::copy(place.source(), &place.made)?;
    venv(place)?;
    let mut tool = Command::new(place.made.join("venv/bin/componentize-py"));
    tool.args(["--quiet", "--wit-path", "../wit", "--world", "single-flight"]);
    tool.args(["--import-interface-name", "wasi:http/types@0.2.10=types"]);
    run(tool.args(["componentize", "app", "-o", "plugin.wasm"]).current_dir(&place.made))
}

fn rust(place: &Place) -> Result<()> {
    for source in &place.sources {
        let mut cargo = cargo()?;
        cargo.args(["build", "--locked", "--release", "--target", "wasm32-wasip2"]);
        cargo.arg("--manifest-path").arg(source.join("Cargo.toml"));
        run(cargo.arg("--target-dir").arg(&place.made))?;
    }
    let built = place.made.join("wasm32-wasip2/release");
    files::copy_file(&built.join("single_flight.wasm"), &place.made.join("plugin.wasm"))?;
    files::copy_file(&built.join("hello.wasm"), &place.made.join("hello.wasm"))
}

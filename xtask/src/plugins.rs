//! The plugins below `examples/`: made ready below `target/plugins/`, each with its own language's tools
//! and as its README says.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result};

use crate::{
    files,
    languages::{Group, Language, Place, tools},
    run::{cargo, run},
    wit,
};

const PLUGINS: Group = Group {
    what: "the plugin in",
    choice: "HOLDFAST_PLUGINS",
    directory: "HOLDFAST_PLUGIN_",
    languages: &[
        Language {
            name: "javascript",
            tools: tools::JAVASCRIPT,
            version: tools::JAVASCRIPT_VERSION,
            prepare: javascript,
        },
        Language {
            name: "python",
            tools: tools::PYTHON,
            version: tools::PYTHON_VERSION,
            prepare: python,
        },
        Language {
            name: "rust",
            tools: &["cargo", "rustc", "sh"],
            // Debian's toolchain has no standard library for it.
            version: &[
                "sh",
                "-c",
                "ls $(rustc --print target-libdir --target wasm32-wasip2)/libstd-*",
            ],
            prepare: rust,
        },
    ],
};

/// The folder and the files of each; what else is there, their tools have put there.
const SOURCES: [(&str, &str, &[&str]); 3] = [
    ("javascript", "js", &["package.json", "package-lock.json", "single-flight.js"]),
    ("python", "python", &["requirements.txt", "app.py"]),
    ("rust", "rust", &["Cargo.toml", "Cargo.lock", "src/lib.rs"]),
];

/// Prepares what can be; what to tell the tests of it, as environment variables.
pub fn prepare(root: &Path) -> Result<Vec<(String, PathBuf)>> {
    let wit = files::below(&wit::gather(root)?)?;
    PLUGINS.prepare(|language| {
        let source = SOURCES.iter().find(|(name, ..)| *name == language);
        let (_, folder, names) = source.context("it has no source")?;
        let source = root.join("examples").join(format!("single-flight-{folder}"));
        let files = names.iter().map(|name| source.join(name)).chain(wit.clone()).collect();
        Ok(Place { source, files, made: root.join("target/plugins").join(language) })
    })
}

fn javascript(place: &Place) -> Result<()> {
    place.copy()?;
    // Not `ci`, which refuses a lock file without the optional packages of other platforms.
    let install = ["install", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error"];
    run(Command::new("npm").args(install).current_dir(&place.made))?;
    let mut jco = Command::new("node_modules/.bin/jco");
    jco.args(["componentize", "single-flight.js", "--wit", "../wit"]);
    run(jco.args(["--world-name", "single-flight", "-o", "plugin.wasm"]).current_dir(&place.made))
}

fn python(place: &Place) -> Result<()> {
    place.copy()?;
    let mut tool = Command::new(place.pip()?.join("componentize-py"));
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

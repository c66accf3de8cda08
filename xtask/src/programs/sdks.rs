//! Programs in `tests/sdk/` that use Holdfast through Dapr's published SDKs.

use std::process::Command;

use anyhow::Result;

use super::{
    group::{Group, Place, Program},
    packages::{PYTHON, npm, venv},
};
use crate::{cargo::cargo, files, process::run};

pub const SDKS: Group = Group {
    choice: "HOLDFAST_SDKS",
    directory: "HOLDFAST_SDK_",
    what: "Dapr's SDK for",
    made: "sdk",
    shared: None,
    programs: &[
        Program {
            name: "go",
            sources: &["tests/sdk/go"],
            tools: &["go"],
            version: &["go", "version"],
            prepare: go,
        },
        Program {
            name: "java",
            sources: &["tests/sdk/java"],
            tools: &["java", "javac", "mvn"],
            version: &["javac", "-version"],
            prepare: java,
        },
        Program {
            name: "javascript",
            sources: &["tests/sdk/javascript"],
            tools: &["node", "npm"],
            version: &["node", "--version"],
            prepare: npm,
        },
        Program {
            name: "python",
            sources: &["tests/sdk/python"],
            tools: &["python3"],
            version: PYTHON,
            prepare: venv,
        },
        Program {
            name: "rust",
            sources: &["tests/sdk/rust"],
            tools: &["cargo"],
            version: &["cargo", "--version"],
            prepare: rust,
        },
    ],
};

fn go(place: &Place) -> Result<()> {
    // If the output is an existing directory, each program gets a file in it.
    let programs = place.made.join("bin");
    files::make(&programs)?;
    let build = ["build", "-mod=readonly", "-o"];
    run(Command::new("go").args(build).arg(programs).arg("./...").current_dir(place.source()))
}

fn java(place: &Place) -> Result<()> {
    // An older SDK must not stay on the class path.
    files::remove(&place.made.join("target"))?;
    files::copy(place.source(), &place.made)?;
    let compile = ["--quiet", "--batch-mode", "-Dstyle.color=never", "process-classes"];
    run(Command::new("mvn").args(compile).current_dir(&place.made))
}

fn rust(place: &Place) -> Result<()> {
    let manifest = place.source().join("Cargo.toml");
    let mut cargo = cargo()?;
    cargo.args(["build", "--locked", "--manifest-path"]).arg(manifest);
    run(cargo.arg("--target-dir").arg(&place.made))
}

//! The programs below `tests/sdk/`, which use Holdfast through Dapr's published SDKs: made ready below
//! `target/sdk/`, each with its own language's tools and as these are configured.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::Result;

use crate::{
    files,
    languages::{Group, Language, Place, folder, tools},
    run::{cargo, run},
};

const SDKS: Group = Group {
    what: "Dapr's SDK for",
    choice: "HOLDFAST_SDKS",
    directory: "HOLDFAST_SDK_",
    languages: &[
        Language { name: "go", tools: &["go"], version: &["go", "version"], prepare: go },
        Language {
            name: "java",
            tools: &["java", "javac", "mvn"],
            version: &["javac", "-version"],
            prepare: java,
        },
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
            tools: &["cargo"],
            version: &["cargo", "--version"],
            prepare: rust,
        },
    ],
};

/// Prepares what can be; what to tell the tests of it, as environment variables.
pub fn prepare(root: &Path) -> Result<Vec<(String, PathBuf)>> {
    SDKS.prepare(|language| {
        folder(root.join("tests/sdk").join(language), root.join("target/sdk").join(language))
    })
}

fn go(place: &Place) -> Result<()> {
    // With a directory that is there, each program gets its own file.
    let programs = place.made.join("bin");
    files::make(&programs)?;
    let build = ["build", "-mod=readonly", "-o"];
    run(Command::new("go").args(build).arg(programs).arg("./...").current_dir(&place.source))
}

fn java(place: &Place) -> Result<()> {
    // Nothing of an older SDK may be left on the class path.
    files::remove(&place.made.join("target"))?;
    place.copy()?;
    let compile = ["--quiet", "--batch-mode", "-Dstyle.color=never", "process-classes"];
    run(Command::new("mvn").args(compile).current_dir(&place.made))
}

fn javascript(place: &Place) -> Result<()> {
    place.copy()?;
    let install = ["ci", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error"];
    run(Command::new("npm").args(install).current_dir(&place.made))
}

fn python(place: &Place) -> Result<()> {
    place.pip().map(drop)
}

fn rust(place: &Place) -> Result<()> {
    let manifest = place.source.join("Cargo.toml");
    let mut cargo = cargo()?;
    cargo.args(["build", "--locked", "--manifest-path"]).arg(manifest);
    run(cargo.arg("--target-dir").arg(&place.made))
}

#[cfg(test)]
mod tests {
    use super::SDKS;

    #[test]
    fn a_choice_names_languages() {
        assert_eq!(SDKS.named("python, go").ok(), Some(vec!["python", "go"]));
        assert_eq!(SDKS.named("none").ok(), Some(vec![]));
        let unknown = SDKS.named("go,perl").map_err(|error| error.to_string());
        let message =
            "HOLDFAST_SDKS names `perl`, which is none of go, java, javascript, python, rust";
        assert_eq!(unknown, Err(message.to_owned()));
    }
}

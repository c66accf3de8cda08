//! The programs below `tests/sdk/`, which use Holdfast through Dapr's published SDKs: made ready below
//! `target/sdk/`, each with its own language's tools and as these are configured.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail};

use crate::{
    files,
    run::{cargo, output, run, which},
};

/// Names the languages to prepare; one that is named has to be there.
const CHOICE: &str = "HOLDFAST_SDKS";

/// Before a language's name: tells the tests which directory is prepared.
const DIRECTORY: &str = "HOLDFAST_SDK_";

struct Sdk {
    language: &'static str,
    tools: &'static [&'static str],
    /// Fails where a tool is there in name only.
    version: &'static [&'static str],
    prepare: fn(&Place) -> Result<()>,
}

const SDKS: [Sdk; 5] = [
    Sdk { language: "go", tools: &["go"], version: &["go", "version"], prepare: go },
    Sdk {
        language: "java",
        tools: &["java", "javac", "mvn"],
        version: &["javac", "-version"],
        prepare: java,
    },
    Sdk {
        language: "javascript",
        tools: &["node", "npm"],
        version: &["node", "--version"],
        prepare: javascript,
    },
    Sdk {
        language: "python",
        tools: &["python3"],
        // Debian has what makes virtual environments in a package of its own.
        version: &["python3", "-c", "import ensurepip, sys; print(sys.version)"],
        prepare: python,
    },
    Sdk { language: "rust", tools: &["cargo"], version: &["cargo", "--version"], prepare: rust },
];

/// Where a language's program comes from, and where it is made.
struct Place {
    source: PathBuf,
    made: PathBuf,
}

/// Prepares what can be; what to tell the tests of it, as environment variables.
pub fn prepare(root: &Path) -> Result<Vec<(String, PathBuf)>> {
    let choice = env::var(CHOICE).ok().filter(|choice| !choice.is_empty());
    let chosen = choice.as_deref().map(languages).transpose()?;
    let mut prepared = Vec::new();
    for sdk in &SDKS {
        let language = sdk.language;
        if chosen.as_ref().is_some_and(|chosen| !chosen.contains(&language)) {
            continue;
        }
        let version = match sdk.version() {
            Ok(version) => version,
            Err(missing) if chosen.is_none() => {
                eprintln!("xtask: Dapr's SDK for {language} is skipped: {missing:#}");
                continue;
            }
            Err(missing) => bail!("{CHOICE} names {language}: {missing:#}"),
        };
        let place = Place {
            source: root.join("tests/sdk").join(language),
            made: root.join("target/sdk").join(language),
        };
        let made = sdk.make(&place, &version);
        made.with_context(|| format!("cannot prepare Dapr's SDK for {language}"))?;
        prepared.push((DIRECTORY.to_owned() + &language.to_uppercase(), place.made));
    }
    Ok(prepared)
}

/// The languages that a choice names.
fn languages(choice: &str) -> Result<Vec<&'static str>> {
    if choice == "none" {
        return Ok(Vec::new());
    }
    let known = SDKS.map(|sdk| sdk.language);
    let names = choice.split(',').map(str::trim);
    names
        .map(|name| {
            let language = known.into_iter().find(|language| *language == name);
            language.with_context(|| {
                format!("{CHOICE} names `{name}`, which is none of {}", known.join(", "))
            })
        })
        .collect()
}

impl Sdk {
    /// What the language's main tool calls itself, or which tool is missing.
    fn version(&self) -> Result<String> {
        if let Some(missing) = self.tools.iter().find(|tool| which(tool).is_none()) {
            bail!("no {missing}");
        }
        output(Command::new(self.version[0]).args(&self.version[1..]))
    }

    /// Makes the program, unless it was made from the same files with the same tool.
    fn make(&self, place: &Place, version: &str) -> Result<()> {
        let _lock = files::lock(&place.made)?;
        let wanted = place.stamp(version)?;
        let stamp = place.made.join("stamp");
        if fs::read_to_string(&stamp).is_ok_and(|stamp| stamp == wanted) {
            return Ok(());
        }
        eprintln!("xtask: preparing Dapr's SDK for {}", self.language);
        files::make(&place.made)?;
        // A program that is half made must not be taken for the one before.
        files::write(&stamp, "")?;
        (self.prepare)(place)?;
        files::write(&stamp, &wanted)
    }
}

impl Place {
    /// What the program is made from.
    fn stamp(&self, version: &str) -> Result<String> {
        let mut stamp = version.to_owned();
        for file in files::below(&self.source)? {
            let text = fs::read_to_string(&file);
            stamp += &file.display().to_string();
            stamp += &text.with_context(|| format!("cannot read {}", file.display()))?;
        }
        Ok(stamp)
    }
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
    files::copy(&place.source, &place.made)?;
    let compile = ["--quiet", "--batch-mode", "-Dstyle.color=never", "process-classes"];
    run(Command::new("mvn").args(compile).current_dir(&place.made))
}

fn javascript(place: &Place) -> Result<()> {
    files::copy(&place.source, &place.made)?;
    let install = ["ci", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error"];
    run(Command::new("npm").args(install).current_dir(&place.made))
}

fn python(place: &Place) -> Result<()> {
    let environment = place.made.join("venv");
    run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&environment))?;
    let install =
        ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--requirement"];
    let requirements = place.source.join("requirements.txt");
    run(Command::new(environment.join("bin/python")).args(install).arg(requirements))
}

fn rust(place: &Place) -> Result<()> {
    let manifest = place.source.join("Cargo.toml");
    let mut cargo = cargo()?;
    cargo.args(["build", "--locked", "--manifest-path"]).arg(manifest);
    run(cargo.arg("--target-dir").arg(&place.made))
}

#[cfg(test)]
mod tests {
    use super::languages;

    #[test]
    fn a_choice_names_languages() {
        assert_eq!(languages("python, go").ok(), Some(vec!["python", "go"]));
        assert_eq!(languages("none").ok(), Some(vec![]));
        let unknown = languages("go,perl").map_err(|error| error.to_string());
        let message =
            "HOLDFAST_SDKS names `perl`, which is none of go, java, javascript, python, rust";
        assert_eq!(unknown, Err(message.to_owned()));
    }
}

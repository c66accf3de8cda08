//! What is made below `target/` with the tools of other languages, as these are configured, and only once
//! from the same files with the same tools.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail};

use crate::{
    files,
    run::{output, run, which},
};

/// The same thing in several languages.
pub struct Group {
    /// Ends in a word before which a language's name is missing.
    pub what: &'static str,
    /// The variable that names the languages to prepare; one that is named has to be there.
    pub choice: &'static str,
    /// Before a language's name: the variable that tells the tests which directory is prepared.
    pub directory: &'static str,
    pub languages: &'static [Language],
}

/// How it is made in one of them.
pub struct Language {
    pub name: &'static str,
    pub tools: &'static [&'static str],
    /// Fails where a tool is there in name only.
    pub version: &'static [&'static str],
    pub prepare: fn(&Place) -> Result<()>,
}

/// Where something comes from, and where it is made.
pub struct Place {
    pub source: PathBuf,
    /// What it is made from, of the source and from elsewhere.
    pub files: Vec<PathBuf>,
    pub made: PathBuf,
}

impl Group {
    /// Prepares what can be; what to tell the tests of it, as environment variables.
    pub fn prepare(&self, place: impl Fn(&str) -> Result<Place>) -> Result<Vec<(String, PathBuf)>> {
        let choice = env::var(self.choice).ok().filter(|choice| !choice.is_empty());
        let chosen = choice.as_deref().map(|choice| self.named(choice)).transpose()?;
        let mut prepared = Vec::new();
        for language in self.languages {
            let name = language.name;
            if chosen.as_ref().is_some_and(|chosen| !chosen.contains(&name)) {
                continue;
            }
            let version = match language.version() {
                Ok(version) => version,
                Err(missing) if chosen.is_none() => {
                    eprintln!("xtask: {} {name} is skipped: {missing:#}", self.what);
                    continue;
                }
                Err(missing) => bail!("{} names {name}: {missing:#}", self.choice),
            };
            let made = place(name).and_then(|place| {
                language.make(self.what, &place, &version)?;
                Ok(place.made)
            });
            let made = made.with_context(|| format!("cannot prepare {} {name}", self.what))?;
            prepared.push((self.directory.to_owned() + &name.to_uppercase(), made));
        }
        Ok(prepared)
    }

    /// The languages that a choice names.
    pub fn named(&self, choice: &str) -> Result<Vec<&'static str>> {
        if choice == "none" {
            return Ok(Vec::new());
        }
        let known: Vec<_> = self.languages.iter().map(|language| language.name).collect();
        let names = choice.split(',').map(str::trim);
        names
            .map(|name| {
                let language = known.iter().copied().find(|language| *language == name);
                language.with_context(|| {
                    let known = known.join(", ");
                    format!("{} names `{name}`, which is none of {known}", self.choice)
                })
            })
            .collect()
    }
}

impl Language {
    /// What the language's main tool calls itself, or which tool is missing.
    fn version(&self) -> Result<String> {
        if let Some(missing) = self.tools.iter().find(|tool| which(tool).is_none()) {
            bail!("no {missing}");
        }
        output(Command::new(self.version[0]).args(&self.version[1..]))
    }

    /// Makes it, unless it was made from the same files with the same tool.
    fn make(&self, what: &str, place: &Place, version: &str) -> Result<()> {
        let _lock = files::lock(&place.made)?;
        let wanted = place.stamp(version)?;
        let stamp = place.made.join("stamp");
        if fs::read_to_string(&stamp).is_ok_and(|stamp| stamp == wanted) {
            return Ok(());
        }
        eprintln!("xtask: preparing {what} {}", self.name);
        files::make(&place.made)?;
        // What is half made must not be taken for what was there before.
        files::write(&stamp, "")?;
        (self.prepare)(place)?;
        files::write(&stamp, &wanted)
    }
}

impl Place {
    /// What it is made from.
    fn stamp(&self, version: &str) -> Result<String> {
        let mut stamp = version.to_owned();
        for file in &self.files {
            let text = fs::read_to_string(file);
            stamp += &file.display().to_string();
            stamp += &text.with_context(|| format!("cannot read {}", file.display()))?;
        }
        Ok(stamp)
    }

    /// Copies the source's files to where it is made.
    pub fn copy(&self) -> Result<()> {
        for file in &self.files {
            if let Ok(name) = file.strip_prefix(&self.source) {
                files::copy_file(file, &self.made.join(name))?;
            }
        }
        Ok(())
    }

    /// Installs the packages of `requirements.txt` into an environment of their own; its programs.
    pub fn pip(&self) -> Result<PathBuf> {
        let environment = self.made.join("venv");
        run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&environment))?;
        let install =
            ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--requirement"];
        let programs = environment.join("bin");
        let requirements = self.source.join("requirements.txt");
        run(Command::new(programs.join("python")).args(install).arg(requirements))?;
        Ok(programs)
    }
}

/// Tools of JavaScript and Python, as several groups need them.
pub mod tools {
    pub const JAVASCRIPT: &[&str] = &["node", "npm"];
    pub const JAVASCRIPT_VERSION: &[&str] = &["node", "--version"];
    pub const PYTHON: &[&str] = &["python3"];
    /// Debian has what makes virtual environments in a package of its own.
    pub const PYTHON_VERSION: &[&str] =
        &["python3", "-c", "import ensurepip, sys; print(sys.version)"];
}

/// A place whose source is a folder as it is.
pub fn folder(source: PathBuf, made: PathBuf) -> Result<Place> {
    let files = files::below(Path::new(&source))?;
    Ok(Place { source, files, made })
}

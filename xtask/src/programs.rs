//! Programs that tests run: made ready below `target/`, those in other languages with these languages' tools
//! and as these are configured.
//!
//! Which programs there are is said elsewhere (`sdk.rs`, `plugins.rs`, `hosts.rs`, `servers.rs`); here is when one is made,
//! and what several are made with.

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

/// Programs that are chosen together.
pub struct Group {
    /// Names the programs to prepare; one that is named has to be there.
    pub choice: &'static str,
    /// Before a program's name: tells the tests which directory is prepared.
    pub directory: &'static str,
    /// What stands before a program's name in messages.
    pub what: &'static str,
    /// The folder below `target/`.
    pub made: &'static str,
    /// Gathers what all of them are made from besides their sources, and says where it is.
    pub shared: Option<fn(&Path) -> Result<PathBuf>>,
    pub programs: &'static [Program],
}

pub struct Program {
    pub name: &'static str,
    /// Where it comes from, in the workspace; none where it is somebody else's.
    pub source: Option<&'static str>,
    pub tools: &'static [&'static str],
    /// Fails where a tool is there in name only.
    pub version: &'static [&'static str],
    pub prepare: fn(&Place) -> Result<()>,
}

/// The version of Python; Debian has what makes virtual environments in a package of its own.
pub const PYTHON: &[&str] = &["python3", "-c", "import ensurepip, sys; print(sys.version)"];

/// Where a program comes from, which may be the workspace's root, and where it is made.
pub struct Place {
    pub source: PathBuf,
    pub made: PathBuf,
}

impl Group {
    /// Prepares what can be; what to tell the tests of it, as environment variables.
    pub fn prepare(&self, root: &Path) -> Result<Vec<(String, PathBuf)>> {
        let choice = env::var(self.choice).ok().filter(|choice| !choice.is_empty());
        let chosen = choice.as_deref().map(|choice| self.chosen(choice)).transpose()?;
        let shared = self.shared.map(|gather| gather(root).and_then(|folder| text(&folder)));
        let shared = shared.transpose()?.unwrap_or_default();
        let mut prepared = Vec::new();
        for program in self.programs {
            let name = program.name;
            if chosen.as_ref().is_some_and(|chosen| !chosen.contains(&name)) {
                continue;
            }
            let version = match program.version() {
                Ok(version) => version,
                Err(missing) if chosen.is_none() => {
                    eprintln!("xtask: {} {name} is skipped: {missing:#}", self.what);
                    continue;
                }
                Err(missing) => bail!("{} names {name}: {missing:#}", self.choice),
            };
            let made = root.join("target").join(self.made).join(name);
            let source = root.join(program.source.unwrap_or_default());
            let place = Place { source, made };
            let made = self.make(program, &place, version + &shared);
            made.with_context(|| format!("cannot prepare {} {name}", self.what))?;
            prepared.push((self.directory.to_owned() + &name.to_uppercase(), place.made));
        }
        Ok(prepared)
    }

    /// The programs that a choice names.
    fn chosen(&self, choice: &str) -> Result<Vec<&'static str>> {
        if choice == "none" {
            return Ok(Vec::new());
        }
        let known: Vec<_> = self.programs.iter().map(|program| program.name).collect();
        let names = choice.split(',').map(str::trim);
        names
            .map(|name| {
                let program = known.iter().find(|known| **known == name).copied();
                program.with_context(|| {
                    let known = known.join(", ");
                    format!("{} names `{name}`, which is none of {known}", self.choice)
                })
            })
            .collect()
    }

    /// Makes the program, unless it was made from the same files with the same tool, which `wanted`
    /// names.
    fn make(&self, program: &Program, place: &Place, mut wanted: String) -> Result<()> {
        let _lock = files::lock(&place.made)?;
        if program.source.is_some() {
            wanted += &text(&place.source)?;
        }
        let stamp = place.made.join("stamp");
        if fs::read_to_string(&stamp).is_ok_and(|stamp| stamp == wanted) {
            return Ok(());
        }
        eprintln!("xtask: preparing {} {}", self.what, program.name);
        files::make(&place.made)?;
        // A program that is half made must not be taken for the one before.
        files::write(&stamp, "")?;
        (program.prepare)(place)?;
        files::write(&stamp, &wanted)
    }
}

impl Program {
    /// What the language's main tool calls itself, or which tool is missing.
    fn version(&self) -> Result<String> {
        if let Some(missing) = self.tools.iter().find(|tool| which(tool).is_none()) {
            bail!("no {missing}");
        }
        output(Command::new(self.version[0]).args(&self.version[1..]))
    }
}

/// A folder's files in one text.
fn text(folder: &Path) -> Result<String> {
    let mut all = String::new();
    for file in files::below(folder)? {
        let text = fs::read_to_string(&file);
        all += &file.display().to_string();
        all += &text.with_context(|| format!("cannot read {}", file.display()))?;
    }
    Ok(all)
}

/// Copies the program, and puts the packages next to it that its lock file names.
pub fn npm(place: &Place) -> Result<()> {
    files::copy(&place.source, &place.made)?;
    let install = ["ci", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error"];
    run(Command::new("npm").args(install).current_dir(&place.made))
}

/// Makes a virtual environment, with what the program's `requirements.txt` names.
pub fn venv(place: &Place) -> Result<()> {
    let environment = place.made.join("venv");
    run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&environment))?;
    let install =
        ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--requirement"];
    let requirements = place.source.join("requirements.txt");
    run(Command::new(environment.join("bin/python")).args(install).arg(requirements))
}

#[cfg(test)]
mod tests {
    use super::{Group, Program};

    const PROGRAM: Program =
        Program { name: "go", source: None, tools: &[], version: &[], prepare: |_| Ok(()) };

    const GROUP: Group = Group {
        choice: "CHOICE",
        directory: "",
        what: "",
        made: "",
        shared: None,
        programs: &[PROGRAM, Program { name: "python", ..PROGRAM }],
    };

    #[test]
    fn a_choice_names_programs() {
        assert_eq!(GROUP.chosen("python, go").ok(), Some(vec!["python", "go"]));
        assert_eq!(GROUP.chosen("none").ok(), Some(vec![]));
        let unknown = GROUP.chosen("go,perl").map_err(|error| error.to_string());
        assert_eq!(unknown, Err("CHOICE names `perl`, which is none of go, python".to_owned()));
    }
}

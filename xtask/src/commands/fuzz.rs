//! `cargo xtask fuzz`: runs the targets in `tests/fuzz/` with inputs that libFuzzer makes.
//!
//! `cargo fuzz` builds the programs, and this runs them, so that everything they write is below `target/fuzz/`:
//! the inputs that reached new code, those that failed, and the logs. No sanitizer is built in: they look for
//! mistakes in unsafe code, and need a nightly compiler for the most part.

use std::{
    ffi::OsString,
    fs::File,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail};
use holdfast_wasm_build::workspace;

use crate::{
    cargo::{cargo, target_dir},
    commands::setup::setup,
    files,
    process::{output, run, which},
};

/// The package of the programs, which are its files.
const PROGRAMS: &str = "tests/fuzz/targets";

/// The inputs that git has, one folder a target.
const CORPUS: &str = "tests/fuzz/corpus";

/// How an input that failed is named.
const FAILED: [&str; 4] = ["crash-", "leak-", "oom-", "timeout-"];

/// Runs each of `targets`, or all, for this many seconds. `keep` adds to the corpus in git the inputs that reach code
/// which the corpus does not reach.
pub fn fuzz(seconds: u64, keep: bool, targets: Vec<String>) -> Result<()> {
    need_tools()?;
    setup()?;
    let root = workspace::root()?;
    let targets = chosen(&root, targets)?;
    let place = Place::build(root)?;

    let mut findings = Vec::new();
    println!("{:<20}{:>12}{:>10}{:>10}", "target", "executions", "corpus", "crashes");
    for target in &targets {
        let Figures { executions, corpus, failed } = place.run(target, seconds)?;
        println!("{target:<20}{executions:>12}{corpus:>10}{:>10}", failed.len());
        findings.extend(failed.into_iter().map(|input| (target, input)));
        if keep {
            place.keep(target)?;
        }
    }
    if findings.is_empty() {
        return Ok(());
    }
    for (target, input) in &findings {
        eprintln!("{} {}", place.program(target).display(), input.display());
    }
    bail!("{} inputs failed: the commands above repeat them", findings.len());
}

fn need_tools() -> Result<()> {
    let install = "cargo-fuzz is missing: run `cargo install cargo-fuzz --locked`";
    output(cargo()?.args(["fuzz", "--version"])).context(install)?;
    if which("c++").is_none() {
        bail!(
            "the C++ compiler `c++`, for libFuzzer, is missing: run `apt-get install build-essential`"
        );
    }
    Ok(())
}

/// The targets to run: those that are named, or all.
fn chosen(root: &Path, named: Vec<String>) -> Result<Vec<String>> {
    let programs = files::below(&root.join(PROGRAMS))?.into_iter();
    let programs = programs.filter(|file| file.extension().is_some_and(|it| it == "rs"));
    let all: Vec<_> = programs
        .filter_map(|file| Some(file.file_stem()?.to_string_lossy().into_owned()))
        .collect();
    if let Some(unknown) = named.iter().find(|name| !all.contains(name)) {
        bail!("no target is named {unknown}; the targets are {}", all.join(", "));
    }
    Ok(if named.is_empty() { all } else { named })
}

/// The directories of the programs and of their files.
struct Place {
    root: PathBuf,
    directory: PathBuf,
    programs: PathBuf,
}

/// The results of a run.
struct Figures {
    executions: String,
    /// The number of inputs that reach different code.
    corpus: usize,
    /// The inputs that failed.
    failed: Vec<PathBuf>,
}

impl Place {
    /// Builds the programs.
    fn build(root: PathBuf) -> Result<Self> {
        let directory = target_dir()?.join("fuzz");
        let build = directory.join("build");
        let version = output(Command::new("rustc").arg("-vV"))?;
        let host = version.lines().find_map(|line| line.strip_prefix("host: "));
        let host = host.context("rustc does not name its host")?;
        let mut cargo = cargo()?;
        cargo.args(["fuzz", "build", "--fuzz-dir", PROGRAMS, "--sanitizer", "none"]);
        // Dependencies stay as they are when they are not fuzzed.
        cargo.arg("--no-cfg-fuzzing").args(["--target", host]);
        run(cargo.arg("--target-dir").arg(&build))?;
        Ok(Self { root, directory, programs: build.join(host).join("release") })
    }

    fn program(&self, target: &str) -> PathBuf {
        self.programs.join(target)
    }

    /// The inputs that git has.
    fn kept(&self, target: &str) -> PathBuf {
        self.root.join(CORPUS).join(target)
    }

    /// The inputs that this machine has found.
    fn found(&self, target: &str) -> PathBuf {
        self.directory.join("corpus").join(target)
    }

    fn run(&self, target: &str, seconds: u64) -> Result<Figures> {
        let found = self.found(target);
        let failed = self.directory.join("artifacts").join(target);
        files::make(&found)?;
        files::make(&failed)?;
        let earlier = files::below(&failed)?;

        let mut prefix = OsString::from("-artifact_prefix=");
        prefix.push(failed.join(""));
        let mut program = self.command(target)?;
        program.arg(format!("-max_total_time={seconds}")).arg("-print_final_stats=1").arg(prefix);
        let log = self.directory.join(target).with_added_extension("log");
        eprintln!("xtask: {target} runs for {seconds} s; its log is {}", log.display());
        let succeeded = run_into(&log, program.arg(&found).arg(self.kept(target)))?;

        let mut failed = files::below(&failed)?;
        failed.retain(|file| !earlier.contains(file) && is_failure(file));
        if !succeeded && failed.is_empty() {
            bail!("{target} failed, and left no input: see {}", log.display());
        }
        let name = "stat::number_of_executed_units:";
        let log = files::read(&log)?;
        let executions = log.lines().find_map(|line| line.strip_prefix(name));
        let executions = executions.unwrap_or("?").trim().to_owned();
        let corpus = files::below(&found)?.len() + files::below(&self.kept(target))?.len();
        Ok(Figures { executions, corpus, failed })
    }

    /// Copies inputs that were found to those in git, smallest first, if they reach lines that the inputs in git do
    /// not.
    fn keep(&self, target: &str) -> Result<()> {
        let log = self.directory.join(target).with_added_extension("keep.log");
        // Without counters, how often a line is reached makes no difference.
        let mut program = self.command(target)?;
        program.args(["-merge=1", "-use_counters=0"]);
        if !run_into(&log, program.arg(self.kept(target)).arg(self.found(target)))? {
            bail!("the inputs of {target} cannot be merged: see {}", log.display());
        }
        Ok(())
    }

    /// A program, with its own directory for temporary files: one that fails leaves them behind.
    fn command(&self, target: &str) -> Result<Command> {
        let temporary = self.directory.join("tmp");
        files::remove(&temporary)?;
        files::make(&temporary)?;
        let mut program = Command::new(self.program(target));
        program.env("TMPDIR", temporary).current_dir(&self.directory);
        Ok(program)
    }
}

/// Runs a program that writes into this file, and returns whether it succeeded.
fn run_into(log: &Path, program: &mut Command) -> Result<bool> {
    let unwritable = || format!("cannot write {}", log.display());
    let file = File::create(log).with_context(unwritable)?;
    program.stdout(file.try_clone().with_context(unwritable)?).stderr(file);
    let status = program.status().with_context(|| format!("cannot run {program:?}"))?;
    Ok(status.success())
}

fn is_failure(file: &Path) -> bool {
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    FAILED.iter().any(|start| name.starts_with(start))
}

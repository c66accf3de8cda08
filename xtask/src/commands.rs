//! What each command runs, once its setup is done.

use std::{env, ffi::OsString, os::unix::process::CommandExt, path::PathBuf, process::Command};

use anyhow::{Context, Result, anyhow};
use holdfast_wasm_build::workspace;

use crate::{
    hosts::HOSTS,
    lint,
    plugins::PLUGINS,
    publish, redis,
    run::{cargo, run},
    sdk::SDKS,
    servers::SERVERS,
    setup, wit,
};

pub fn setup() -> Result<()> {
    setup::all(&workspace::root()?)
}

pub fn build() -> Result<()> {
    setup()?;
    run(cargo()?.args(["build", "--release", "--package", "holdfast"]))
}

/// Returns where they are.
pub fn components() -> Result<PathBuf> {
    setup()?;
    let folder = workspace::root()?.join("target/components");
    let write = ["run", "--quiet", "--package", "holdfast-compositions", "--"];
    run(cargo()?.args(write).arg(&folder))?;
    Ok(folder)
}

pub fn serve(args: Vec<OsString>) -> Result<()> {
    build()?;
    let holdfast = release_dir()?.join("holdfast");
    // Its own process would keep signals from the server.
    let error = Command::new(&holdfast).arg("serve").args(args).exec();
    Err(anyhow!("cannot run {}: {error}", holdfast.display()))
}

pub fn test(args: Vec<OsString>) -> Result<()> {
    setup()?;
    let root = workspace::root()?;
    let redis_server = redis::server(&root)?;
    let sdks = SDKS.prepare(&root)?;
    let hosts = HOSTS.prepare(&root)?;
    let servers = SERVERS.prepare(&root)?;
    let plugins = PLUGINS.prepare(&root)?;
    let mut cargo = cargo()?;
    cargo.envs(sdks).envs(plugins).envs(hosts).envs(servers.iter().cloned());
    // From the root this tests every member; `--workspace` would overrule a `--package` among ARGS.
    run(cargo.arg("test").args(&args).env(redis::SERVER, redis_server))?;
    // ARGS choose among the members.
    if args.is_empty() { publish::test(&servers) } else { Ok(()) }
}

pub fn bench(args: Vec<OsString>) -> Result<()> {
    setup()?;
    let redis_server = redis::server(&workspace::root()?)?;
    // With the binary `holdfast`, whose start is measured too.
    let packages = ["--package", "holdfast", "--package", "holdfast-bench"];
    run(cargo()?.args(["build", "--release"]).args(packages))?;
    let bench = release_dir()?.join("holdfast-bench");
    run(Command::new(bench).args(args).env(redis::SERVER, redis_server))
}

pub fn wit() -> Result<()> {
    let wit = wit::gather(&workspace::root()?)?;
    println!("{}", wit.display());
    Ok(())
}

pub fn check() -> Result<()> {
    run(cargo()?.args(["fmt", "--all", "--check"]))?;
    // Workspaces of their own.
    for manifest in ["tests/sdk/rust/Cargo.toml", "examples/single-flight-rust/Cargo.toml"] {
        run(cargo()?.args(["fmt", "--check", "--manifest-path", manifest]))?;
    }
    lint::deploy(&workspace::root()?)?;
    // Linting the host builds the guest: build scripts run.
    setup()?;
    publish::check()?;
    let clippy = ["clippy", "--workspace", "--all-targets", "--", "-Dwarnings"];
    run(cargo()?.args(clippy))?;
    let doc = ["doc", "--no-deps", "--workspace"];
    run(cargo()?.args(doc).env("RUSTDOCFLAGS", "-Dwarnings"))
}

fn release_dir() -> Result<PathBuf> {
    Ok(target_dir()?.join("release"))
}

/// The one this very program was built into.
pub fn target_dir() -> Result<PathBuf> {
    let this = env::current_exe().context("cannot tell where xtask is")?;
    let target_dir = this.ancestors().nth(2).context("xtask is not in a target directory")?;
    Ok(target_dir.to_owned())
}

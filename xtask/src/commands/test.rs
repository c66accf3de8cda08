//! `cargo xtask test`: every test, with the programs and servers that they start.

use std::ffi::OsString;

use anyhow::Result;
use holdfast_wasm_build::workspace;

use crate::{
    cargo::cargo,
    commands::{
        components::{components, parts},
        release_tool,
        setup::setup,
    },
    crates,
    needs::redis,
    process::run,
    programs::{CHECKERS, CLOCKS, HOSTS, PLUGINS, SDKS, SERVERS},
    progress::step,
};

/// Runs `cargo test` with `args`. Without any, this also tests the release tool, and packages the crates.
pub fn test(args: Vec<OsString>) -> Result<()> {
    setup()?;
    let root = workspace::root()?;
    let redis_server = step("finding redis-server", || redis::server(&root))?;
    let sdks = step("preparing programs with Dapr's SDKs", || SDKS.prepare(&root))?;
    let hosts = step("preparing hosts of the lock component", || HOSTS.prepare(&root))?;
    let servers = step("preparing servers", || SERVERS.prepare(&root))?;
    let clocks = step("preparing clocks", || CLOCKS.prepare(&root))?;
    let checkers = step("preparing checkers of the API", || CHECKERS.prepare(&root))?;
    let plugins = step("preparing plugins", || PLUGINS.prepare(&root))?;
    let mut cargo = cargo()?;
    cargo.envs(sdks).envs(plugins).envs(hosts).envs(clocks).envs(checkers);
    cargo.envs(servers.iter().cloned());
    // In the root, cargo tests every member; `--workspace` would override a `--package` in `args`.
    step("building and running the tests", || {
        run(cargo.arg("test").args(&args).env(redis::SERVER, redis_server))
    })?;
    if args.is_empty() {
        let parts = parts()?;
        step("packaging the crates", || crates::package(&root, &parts))?;
        // The release tool's tests read them.
        components()?;
        step("testing the release tool", || release_tool::test(&servers))?;
    }
    Ok(())
}

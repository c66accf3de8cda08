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
    programs::{CLOCKS, HOSTS, PLUGINS, SDKS, SERVERS},
};

/// Runs `cargo test` with `args`. Without any, this also tests the release tool, and packages the crates.
pub fn test(args: Vec<OsString>) -> Result<()> {
    setup()?;
    let root = workspace::root()?;
    let redis_server = redis::server(&root)?;
    let sdks = SDKS.prepare(&root)?;
    let hosts = HOSTS.prepare(&root)?;
    let servers = SERVERS.prepare(&root)?;
    let clocks = CLOCKS.prepare(&root)?;
    let plugins = PLUGINS.prepare(&root)?;
    let mut cargo = cargo()?;
    cargo.envs(sdks).envs(plugins).envs(hosts).envs(clocks).envs(servers.iter().cloned());
    // In the root, cargo tests every member; `--workspace` would override a `--package` in `args`.
    run(cargo.arg("test").args(&args).env(redis::SERVER, redis_server))?;
    if args.is_empty() {
        crates::package(&root, &parts()?)?;
        // The release tool's tests read them.
        components()?;
        release_tool::test(&servers)?;
    }
    Ok(())
}

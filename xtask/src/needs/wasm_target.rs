//! The compiler of the components: rustup's target, or else Debian's toolchain below `target/`.

use std::{path::Path, process::Command};

use anyhow::{Result, anyhow, bail};
use holdfast_wasm_build::{CHOICE, TARGET, Toolchain, library_dirs, workspace};

use crate::{
    files,
    needs::debian,
    process::{output, which},
};

/// Installs a toolchain, unless [`Toolchain::find`] finds one that works.
pub fn install(root: &Path) -> Result<()> {
    let chosen = Toolchain::chosen()?;
    match Toolchain::find(root) {
        Ok(Toolchain::Rustup(_)) => return Ok(()),
        Ok(Toolchain::Debian(debian)) if works(&debian).is_ok() => return Ok(()),
        // Incomplete, or unpacked on another system.
        Ok(Toolchain::Debian(debian)) => files::remove(&debian)?,
        Err(_) => {}
    }
    match chosen.as_deref() {
        Some("rustup") => add_with_rustup(root),
        Some(_) => unpack_debian(root),
        None => add_with_rustup(root).or_else(|rustup| {
            eprintln!("xtask: {rustup:#}; using Debian's toolchain instead");
            unpack_debian(root).map_err(|debian| missing(&rustup, &debian))
        }),
    }
}

fn missing(rustup: &anyhow::Error, debian: &anyhow::Error) -> anyhow::Error {
    anyhow!(
        "the target {TARGET} is missing: run `rustup target add {TARGET}` where rustup can reach \
         its server. Tried: {rustup:#}; {debian:#}"
    )
}

fn add_with_rustup(root: &Path) -> Result<()> {
    if which("rustup").is_none() {
        bail!("rustup is not on PATH");
    }
    eprintln!("xtask: adding the target {TARGET} with rustup");
    output(Command::new("rustup").args(["target", "add", TARGET]).current_dir(root))?;
    match Toolchain::find(root) {
        Ok(Toolchain::Rustup(_)) => Ok(()),
        _ => bail!("rustup added {TARGET} to a toolchain that cargo does not use"),
    }
}

fn unpack_debian(root: &Path) -> Result<()> {
    let toolchain = workspace::debian_toolchain(root);
    debian::unpack(&toolchain, debian_packages)?;
    works(&toolchain)?;
    eprintln!("xtask: the components are built with Debian's toolchain (set {CHOICE} to choose)");
    Ok(())
}

/// Debian builds Firefox and Chromium with these packages, and therefore keeps them recent.
fn debian_packages() -> Result<Vec<String>> {
    let library = debian::depends("libstd-rust-web-dev")?;
    // The name of the library's package contains its version.
    let library = library.into_iter().filter(|package| package.starts_with("libstd-rust-web-"));
    let fixed = ["rustc-web", "rust-web-src", "libstd-rust-web-dev"].map(String::from);
    Ok(fixed.into_iter().chain(library).collect())
}

/// Checks that the compiler starts, and that the library's source is where cargo looks for it.
fn works(debian: &Path) -> Result<()> {
    let libraries = std::env::join_paths(library_dirs(debian))?;
    let mut rustc = Command::new(debian.join("usr/bin/rustc"));
    let sysroot = output(rustc.args(["--print", "sysroot"]).env("LD_LIBRARY_PATH", libraries))?;
    let source = Path::new(sysroot.trim_end()).join("lib/rustlib/src/rust/library/core");
    if !source.is_dir() {
        bail!("Debian's rust-web-src has no library source at {}", source.display());
    }
    Ok(())
}

//! A compiler for the components: rustup's target, or else Debian's toolchain below `target/`.

use std::{path::Path, process::Command};

use anyhow::{Result, anyhow, bail};
use holdfast_wasm_build::{CHOICE, TARGET, Toolchain, library_dirs, workspace};

use crate::{
    debian, files,
    run::{output, which},
};

/// Makes sure that [`Toolchain::find`] finds one.
pub fn install(root: &Path) -> Result<()> {
    let forced = Toolchain::forced()?;
    match Toolchain::find(root) {
        Ok(Toolchain::Rustup(_)) => return Ok(()),
        Ok(Toolchain::Debian(debian)) if works(&debian).is_ok() => return Ok(()),
        // Half gone, or unpacked on another system.
        Ok(Toolchain::Debian(debian)) => files::remove(&debian)?,
        Err(_) => {}
    }
    match forced.as_deref() {
        Some("rustup") => add_with_rustup(root),
        Some(_) => unpack_debian(root),
        None => add_with_rustup(root).or_else(|rustup| {
            eprintln!("xtask: {rustup:#}; taking Debian's toolchain instead");
            unpack_debian(root).map_err(|debian| missing(&rustup, &debian))
        }),
    }
}

fn missing(rustup: &anyhow::Error, debian: &anyhow::Error) -> anyhow::Error {
    anyhow!(
        "the target {TARGET} is missing: run `rustup target add {TARGET}` where rustup can reach \
         its server. Tried here: {rustup:#}; {debian:#}"
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
        _ => bail!("rustup added {TARGET} to another toolchain than the one cargo uses"),
    }
}

fn unpack_debian(root: &Path) -> Result<()> {
    let toolchain = workspace::debian_toolchain(root);
    debian::unpack(&toolchain, debian_packages)?;
    works(&toolchain)?;
    eprintln!("xtask: the components will be built with it ({CHOICE} chooses)");
    Ok(())
}

/// Debian builds Firefox and Chromium with these packages, and so keeps them recent.
fn debian_packages() -> Result<Vec<String>> {
    let library = debian::depends("libstd-rust-web-dev")?;
    // The library's package carries its version in its name.
    let library = library.into_iter().filter(|package| package.starts_with("libstd-rust-web-"));
    let fixed = ["rustc-web", "rust-web-src", "libstd-rust-web-dev"].map(String::from);
    Ok(fixed.into_iter().chain(library).collect())
}

/// The compiler starts and has the library's source where cargo looks for it.
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

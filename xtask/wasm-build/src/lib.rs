//! Builds a `no_std` crate of this workspace into a WebAssembly component, from a build script.
//!
//! ```no_run
//! // build.rs
//! match holdfast_wasm_build::component("holdfast-guest") {
//!     Ok(wasm) => println!("cargo::rustc-env=HOLDFAST_GUEST={}", wasm.display()),
//!     Err(error) => holdfast_wasm_build::fail(&error),
//! }
//! ```
//!
//! - [`component`] runs the nested cargo (this file).
//! - [`Toolchain`] says which compiler serves it (`toolchain.rs`).
//! - [`workspace`] knows the directories.
//! - `messages.rs` reads what the nested cargo reports.

use std::{
    fmt::Display,
    path::PathBuf,
    process::{Command, Stdio},
};

mod error;
mod messages;
mod toolchain;
pub mod workspace;

pub use error::Error;
pub use toolchain::{CHOICE, TARGET, Toolchain, library_dirs};

/// Builds `package` with the profile `guest` and returns the path of the component.
///
/// Prints what cargo has to know to run the calling build script again: the directories of the
/// package and of every other member it is made of, `wit/`, the workspace's manifest and lock file.
///
/// # Errors
///
/// When there is no toolchain for wasm, or the package does not compile: the compiler's own
/// messages are part of the error then.
pub fn component(package: &str) -> Result<PathBuf, Error> {
    let root = workspace::root()?;
    for input in ["Cargo.toml", "Cargo.lock", "wit"] {
        println!("cargo::rerun-if-changed={}", root.join(input).display());
    }
    println!("cargo::rerun-if-env-changed={CHOICE}");
    let toolchain = Toolchain::find(&root)?;

    let mut cargo = nested_cargo()?;
    cargo
        .current_dir(&root)
        // As a crate type of the manifest it would apply to the native build too, which has no use
        // for it, and for a `no_std` crate cannot link it.
        .args(["rustc", "--quiet", "--package", package, "--lib", "--crate-type", "cdylib"])
        .args(["--target", TARGET, "--profile", "guest"])
        .arg("--message-format=json-render-diagnostics")
        // The outer cargo holds the lock of its own target directory while it waits for us.
        .arg("--target-dir")
        .arg(workspace::target_dir()?.join("wasm"));
    toolchain.apply(&mut cargo)?;

    let output = cargo
        .stderr(Stdio::piped())
        .output()
        .map_err(|source| Error::Run { program: "cargo".into(), source })?;
    let report = messages::Report::read(&output.stdout);
    for directory in report.members(&root) {
        println!("cargo::rerun-if-changed={}", directory.display());
    }
    if !output.status.success() {
        return Err(Error::Build {
            package: package.into(),
            stderr: String::from_utf8_lossy(&output.stderr).trim_end().into(),
        });
    }
    report.component.ok_or_else(|| Error::NoComponent { package: package.into() })
}

/// Lets the build script fail with `error` in cargo's own form, line by line.
///
/// A panic or an error returned from `main` would come with the script's whole output and a backtrace.
pub fn fail(error: &impl Display) {
    for line in error.to_string().lines() {
        println!("cargo::error={line}");
    }
}

/// A cargo that does not mistake what the outer cargo set for this build script, or the user for the
/// host's own build, for its own settings.
fn nested_cargo() -> Result<Command, Error> {
    let mut cargo = Command::new(workspace::variable("CARGO")?);
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(misleads) {
            cargo.env_remove(name);
        }
    }
    Ok(cargo)
}

fn misleads(name: &str) -> bool {
    // A wrapper is clippy, or measures coverage: both are about the host's code.
    let exact = [
        "CARGO_ENCODED_RUSTFLAGS",
        "CARGO_INCREMENTAL",
        "RUSTC_LINKER",
        "RUSTC_WORKSPACE_WRAPPER",
        "RUSTC_WRAPPER",
        "RUSTFLAGS",
    ];
    let prefixes = ["CARGO_BUILD_", "CARGO_PROFILE_", "CARGO_TARGET_"];
    exact.contains(&name) || prefixes.iter().any(|prefix| name.starts_with(prefix))
}

#[cfg(test)]
mod tests {
    use super::misleads;

    #[test]
    fn only_what_misleads_is_taken_away() {
        for name in ["RUSTC_WORKSPACE_WRAPPER", "CARGO_BUILD_TARGET", "CARGO_TARGET_DIR"] {
            assert!(misleads(name), "{name}");
        }
        for name in ["RUSTC", "CARGO_MAKEFLAGS", "CARGO_HOME", "CARGO_NET_OFFLINE", "PATH"] {
            assert!(!misleads(name), "{name}");
        }
    }
}

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
//! [`component`] runs the nested cargo, and [`component_or_packaged`] does so only in a checkout. [`module`] and
//! [`module_into`] build a core module instead, for hosts that know no components.
//!
//! | module | what lives there |
//! |---|---|
//! | `messages` | the messages of the nested cargo |
//! | `strip` | removing debug names from its output |
//! | `target` | [`TARGET`], the target of components |
//! | `toolchain` | [`Toolchain`], the compiler for it |
//! | [`workspace`] | the directories of the workspace |
//! | `error` | why nothing was built |

use std::{
    fmt::Display,
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

mod error;
mod messages;
mod strip;
mod target;
mod toolchain;
pub mod workspace;

pub use error::Error;
pub use target::{CHOICE, TARGET};
pub use toolchain::{Toolchain, library_dirs};

/// The component of `package` in a checkout or in a published package.
///
/// If the directory `source`, relative to the calling package, has a manifest, [`component`] builds the
/// component. Otherwise the file `PACKAGE.wasm` in the calling package is the component: a published package
/// has no source beside it.
///
/// # Errors
///
/// If there is neither, or for the reasons of [`component`].
pub fn component_or_packaged(package: &str, source: &str) -> Result<PathBuf, Error> {
    let caller = PathBuf::from(workspace::variable("CARGO_MANIFEST_DIR")?);
    if caller.join(source).join("Cargo.toml").is_file() {
        return component(package);
    }
    let wasm = caller.join(package).with_added_extension("wasm");
    println!("cargo::rerun-if-changed={}", wasm.display());
    if wasm.is_file() { Ok(wasm) } else { Err(Error::NoSource { wasm, source_dir: source.into() }) }
}

/// Builds `package` with the profile `guest`, removes the debug names, and returns the path of the component.
///
/// Has cargo run the calling build script again if a source changes: the directory of the package or of
/// another member that it depends on, `wit/`, or the manifest and lock file of the workspace.
///
/// # Errors
///
/// If there is no toolchain for wasm, or the package does not compile. The error contains the messages of
/// the compiler.
pub fn component(package: &str) -> Result<PathBuf, Error> {
    let built = watched(package, Kind::Component)?;
    let copy = |source| Error::Copy { package: package.into(), source };
    let stripped = strip::strip_component_name(&fs::read(built).map_err(copy)?)
        .map_err(|source| Error::NoComponent { package: package.into(), source })?;
    let out_dir = PathBuf::from(workspace::variable("OUT_DIR")?);
    let component = out_dir.join(package).with_added_extension("wasm");
    fs::write(&component, stripped).map_err(copy)?;
    Ok(component)
}

/// Builds `package` as [`component`] does, but into a core module: it imports and exports what its source declares.
///
/// # Errors
///
/// Those of [`component`].
pub fn module(package: &str) -> Result<PathBuf, Error> {
    watched(package, Kind::Module)
}

/// Builds `package` as [`module`] does, but outside of a build script, below this target directory.
///
/// # Errors
///
/// Those of [`component`].
pub fn module_into(package: &str, target_dir: &Path) -> Result<PathBuf, Error> {
    let root = workspace::root()?;
    build(&root, package, Kind::Module, target_dir)?.made
}

/// The output of the linker.
#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Component,
    Module,
}

/// Builds for the calling build script.
fn watched(package: &str, kind: Kind) -> Result<PathBuf, Error> {
    let root = workspace::root()?;
    for input in ["Cargo.toml", "Cargo.lock", "wit"] {
        println!("cargo::rerun-if-changed={}", root.join(input).display());
    }
    println!("cargo::rerun-if-env-changed={CHOICE}");
    let report = build(&root, package, kind, &workspace::target_dir()?)?;
    for directory in report.messages.members(&root) {
        println!("cargo::rerun-if-changed={}", directory.display());
    }
    report.made
}

/// The outcome of a nested build, and its messages before it ended.
struct Built {
    messages: messages::Report,
    made: Result<PathBuf, Error>,
}

fn build(root: &Path, package: &str, kind: Kind, target_dir: &Path) -> Result<Built, Error> {
    let toolchain = Toolchain::find(root)?;
    let mut cargo = nested_cargo()?;
    cargo
        .current_dir(root)
        // In the manifest, the crate type would apply to the native build too, which cannot link a
        // `no_std` crate.
        .args(["rustc", "--quiet", "--package", package, "--lib", "--crate-type", "cdylib"])
        .args(["--target", TARGET, "--profile", "guest"])
        .arg("--message-format=json-render-diagnostics")
        // The outer cargo holds the lock of its own target directory while this one runs.
        .arg("--target-dir")
        .arg(target_dir.join("wasm"));
    toolchain.apply(&mut cargo)?;
    if kind == Kind::Module {
        // The target's own linker wraps the module that this one makes into a component.
        let linker = ["-Clinker=rust-lld", "-Clinker-flavor=wasm-ld", "-Clink-arg=--no-entry"];
        cargo.arg("--").args(linker);
    }
    let output = cargo
        .stderr(Stdio::piped())
        .output()
        .map_err(|source| Error::Run { program: "cargo".into(), source })?;
    let messages = messages::Report::read(&output.stdout);
    let made = match &messages.wasm {
        _ if !output.status.success() => Err(Error::Build {
            package: package.into(),
            stderr: String::from_utf8_lossy(&output.stderr).trim_end().into(),
        }),
        None => Err(Error::NoWasm { package: package.into() }),
        Some(wasm) => Ok(wasm.clone()),
    };
    Ok(Built { messages, made })
}

/// Makes the build script fail with `error`, in cargo's format.
///
/// For a panic or an error returned from `main`, cargo would print the script's whole output.
pub fn fail(error: &impl Display) {
    for line in error.to_string().lines() {
        println!("cargo::error={line}");
    }
}

/// A cargo without the settings that the outer cargo made for this build script, or the user for the native
/// build.
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
    // A wrapper is clippy, or measures coverage, of native code.
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
    fn only_misleading_variables_are_removed() {
        for name in ["RUSTC_WORKSPACE_WRAPPER", "CARGO_BUILD_TARGET", "CARGO_TARGET_DIR"] {
            assert!(misleads(name), "{name}");
        }
        for name in ["RUSTC", "CARGO_MAKEFLAGS", "CARGO_HOME", "CARGO_NET_OFFLINE", "PATH"] {
            assert!(!misleads(name), "{name}");
        }
    }
}

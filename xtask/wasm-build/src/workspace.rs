//! The directories of the workspace, found from the variables that cargo gives a build script or `cargo run`.

use std::{
    env,
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
};

use crate::Error;

/// The root directory of the workspace.
///
/// # Errors
///
/// If not run by cargo, or outside of a workspace.
pub fn root() -> Result<PathBuf, Error> {
    let start = PathBuf::from(variable("CARGO_MANIFEST_DIR")?);
    let root = start.ancestors().find(|directory| is_root(directory)).map(Path::to_path_buf);
    root.ok_or(Error::NoWorkspace(start))
}

/// The directory that Debian's toolchain is unpacked in. It does not depend on the target directory of
/// cargo, which build scripts and `cargo xtask setup` may see differently.
pub fn debian_toolchain(root: &Path) -> PathBuf {
    root.join("target").join("wasm-toolchain")
}

/// The target directory of the cargo that runs the calling build script.
pub(crate) fn target_dir() -> Result<PathBuf, Error> {
    let out_dir = PathBuf::from(variable("OUT_DIR")?);
    let triple = env::var_os("TARGET").unwrap_or_default();
    above_build(&out_dir, Path::new(&triple)).ok_or(Error::NoVariable("OUT_DIR"))
}

/// The end of the message that no toolchain was found. Empty if the workspace is the dependency of another,
/// which has no xtask.
pub(crate) fn setup_hint(root: &Path) -> &'static str {
    match target_dir() {
        Ok(target_dir) if !target_dir.starts_with(root) => "",
        _ => ", or `cargo xtask setup`, which also works without rustup",
    }
}

pub(crate) fn variable(name: &'static str) -> Result<OsString, Error> {
    env::var_os(name).ok_or(Error::NoVariable(name))
}

fn is_root(directory: &Path) -> bool {
    fs::read_to_string(directory.join("Cargo.toml"))
        .is_ok_and(|manifest| manifest.lines().any(|line| line.trim() == "[workspace]"))
}

/// `OUT_DIR` is `TARGET_DIR/[TRIPLE/]PROFILE/build/...`.
fn above_build(out_dir: &Path, triple: &Path) -> Option<PathBuf> {
    let build = out_dir.ancestors().find(|directory| directory.ends_with("build"))?;
    let mut target_dir = build.parent()?.parent()?;
    if !triple.as_os_str().is_empty() && target_dir.ends_with(triple) {
        target_dir = target_dir.parent()?;
    }
    Some(target_dir.to_path_buf())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_target_directory_is_found_from_out_dir() {
        let triple = Path::new("x86_64-unknown-linux-gnu");
        for out_dir in [
            "/w/target/debug/build/host-0123/out",
            "/w/target/x86_64-unknown-linux-gnu/release/build/host-0123/out",
            "/w/target/debug/build/host/0123/out",
        ] {
            let found = above_build(Path::new(out_dir), triple);
            assert_eq!(found.as_deref(), Some(Path::new("/w/target")), "{out_dir}");
        }
    }
}

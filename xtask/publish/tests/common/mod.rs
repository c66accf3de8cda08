//! A release of the components that `cargo xtask test` builds, and of a crate.

use std::path::{Path, PathBuf};

use holdfast_publish::package::{self, Places};
use tempfile::TempDir;

/// The root of the workspace.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The crate of a release. Any file will do.
pub const CRATE: &str = "holdfast-0.1.0.crate";

/// Writes a release into the directory `dist` of a new directory, and returns the names of its files.
pub async fn release() -> (TempDir, Vec<String>) {
    let folder = tempfile::tempdir().expect("a directory");
    let root = root();
    let components = root.join("target/components");
    let dist = folder.path().join("dist");
    let file = folder.path().join(CRATE);
    std::fs::write(&file, "a crate").expect("a file");
    let files = package::write(&Places { root, components, files: vec![file], dist }).await;
    (folder, files.expect("a release: `cargo xtask test` builds the components"))
}

//! A release of the components that `cargo xtask test` has built.

use std::path::{Path, PathBuf};

use holdfast_publish::package::{self, Places};
use tempfile::TempDir;

/// The workspace of Holdfast.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// A directory with a release, and its files' names.
pub async fn release() -> (TempDir, Vec<String>) {
    let folder = tempfile::tempdir().expect("a directory");
    let root = root();
    let components = root.join("target/components");
    let dist = folder.path().join("dist");
    let files = package::write(&Places { root, components, dist }).await;
    (folder, files.expect("a release: `cargo xtask test` builds the components"))
}

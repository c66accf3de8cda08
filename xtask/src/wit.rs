//! The WIT that the plugins of `examples/` are built with, as one package with its `deps/`: Holdfast's own,
//! and WASI's as the crate `wasmtime-wasi-http` brings it along.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use serde_json::Value;

use crate::{
    files,
    run::{cargo, output},
};

/// What of WASI has the interfaces that plugins name.
const WASI: [&str; 3] = ["clocks.wit", "http.wit", "io.wit"];

/// The version that the crate declares, and the one that StarlingMonkey has built in: jco looks for that
/// very version. The interfaces of both are the same, and hosts take either for the other.
const VERSIONS: (&str, &str) = ("0.2.12", "0.2.10");

/// Puts it below `target/`; where it is.
pub fn gather(root: &Path) -> Result<PathBuf> {
    let wit = root.join("target/plugins/wit");
    let _lock = files::lock(&wit)?;
    files::remove(&wit)?;
    for file in files::below(&root.join("wit"))? {
        copy(&file, &wit.join("deps/lock"))?;
    }
    copy(&root.join("examples/wit/deps/keyvalue/store.wit"), &wit.join("deps/keyvalue"))?;
    copy(&root.join("examples/wit/single-flight.wit"), &wit)?;
    let wasi = crate_folder("wasmtime-wasi-http")?.join("wit/deps");
    for name in WASI {
        let file = wasi.join(name);
        let text = fs::read_to_string(&file);
        let text = text.with_context(|| format!("cannot read {}", file.display()))?;
        let interfaces = without_worlds(&text).replace(VERSIONS.0, VERSIONS.1);
        files::write(&wit.join("deps").join(name), &interfaces)?;
    }
    Ok(wit)
}

fn copy(file: &Path, into: &Path) -> Result<()> {
    let name = file.file_name().context("a file has a name")?;
    files::copy_file(file, &into.join(name))
}

/// Where cargo has put a package that the workspace depends on.
fn crate_folder(package: &str) -> Result<PathBuf> {
    let metadata = output(cargo()?.args(["metadata", "--locked", "--format-version=1"]))?;
    let metadata: Value = serde_json::from_str(&metadata).context("cargo's metadata")?;
    let packages = metadata["packages"].as_array().into_iter().flatten();
    let mut manifests = packages
        .filter(|found| found["name"] == package)
        .filter_map(|found| Path::new(found["manifest_path"].as_str()?).parent());
    let folder = manifests.next().map(Path::to_path_buf);
    folder.with_context(|| format!("the workspace does not depend on {package}"))
}

/// A file's package and interfaces. Its worlds name packages that plugins have no use for.
fn without_worlds(text: &str) -> String {
    let mut kept = String::new();
    let mut item = String::new();
    for line in text.lines() {
        item += line;
        item.push('\n');
        // At the margin only, so that this is the end of an item.
        if line == "}" || line.starts_with("package ") {
            if !item.lines().any(|line| line.starts_with("world ")) {
                kept += &item;
            }
            item.clear();
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::without_worlds;

    #[test]
    fn interfaces_stay() {
        let text = "package a:b;\n\n/// One.\ninterface one {\n  f: func();\n}\n\n/// All.\nworld all {\n  import one;\n}\n";
        let kept = "package a:b;\n\n/// One.\ninterface one {\n  f: func();\n}\n";
        assert_eq!(without_worlds(text), kept);
    }
}

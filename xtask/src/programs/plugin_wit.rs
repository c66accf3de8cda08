//! The WIT that the plugins in `examples/` are built with, as one package with its `deps/`: Holdfast's own,
//! and WASI's from the crate `wasmtime-wasi-http`.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::{cargo::package_dir, files};

/// The files with the interfaces that plugins name.
const WASI: [&str; 3] = ["clocks.wit", "http.wit", "io.wit"];

/// The version that the crate declares, and the one built into StarlingMonkey, which jco requires.
/// Their interfaces are the same, and hosts accept either version in place of the other.
const VERSIONS: (&str, &str) = ("0.2.12", "0.2.10");

/// Gathers the WIT below `target/`, and returns the directory.
pub fn gather(root: &Path) -> Result<PathBuf> {
    let wit = root.join("target/plugins/wit");
    let _lock = files::lock(&wit)?;
    files::remove(&wit)?;
    for file in files::below(&root.join("wit"))? {
        copy(&file, &wit.join("deps/lock"))?;
    }
    copy(&root.join("examples/wit/deps/keyvalue/store.wit"), &wit.join("deps/keyvalue"))?;
    for world in ["hello.wit", "single-flight.wit"] {
        copy(&root.join("examples/wit").join(world), &wit)?;
    }
    let wasi = package_dir("wasmtime-wasi-http")?.join("wit/deps");
    for name in WASI {
        let file = wasi.join(name);
        let interfaces = without_worlds(&files::read(&file)?).replace(VERSIONS.0, VERSIONS.1);
        files::write(&wit.join("deps").join(name), &interfaces)?;
    }
    Ok(wit)
}

fn copy(file: &Path, into: &Path) -> Result<()> {
    let name = file.file_name().context("a file has a name")?;
    files::copy_file(file, &into.join(name))
}

/// The package declaration and interfaces of a file. Its worlds name packages that plugins do not use.
fn without_worlds(text: &str) -> String {
    let mut kept = String::new();
    let mut item = String::new();
    for line in text.lines() {
        item += line;
        item.push('\n');
        // A brace in the first column ends an item.
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

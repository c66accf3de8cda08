//! `holdfast component`: the exported lock component, and plugins that are run and composed.

mod compose;
mod run;

use std::{fs, path::Path, process::Output};

use holdfast_tests::{holdfast::command, temporary_dir};

use crate::HOLDFAST;

/// The exit code, stdout and stderr of `holdfast component`.
fn component(args: &[&str]) -> (Option<i32>, String, String) {
    let text = |bytes| String::from_utf8(bytes).unwrap();
    let Output { status, stdout, stderr } = output(args);
    (status.code(), text(stdout), text(stderr))
}

/// The variable is one that no plugin may see.
fn output(args: &[&str]) -> Output {
    let mut holdfast = command(HOLDFAST);
    holdfast.env("REDIS_HOST", "127.0.0.1:1").arg("component").args(args).output().unwrap()
}

/// Writes a component or a core module, given as text, and returns its path.
fn write(folder: &Path, name: &str, text: &str) -> String {
    let file = folder.join(name);
    fs::write(&file, wat::parse_str(text).unwrap()).unwrap();
    file.to_str().unwrap().to_owned()
}

/// Files that are no component, each with how `holdfast component` refuses it.
fn no_components(folder: &Path) -> Vec<(String, String)> {
    let text = folder.join("notes.txt").to_str().unwrap().to_owned();
    fs::write(&text, "(component)").unwrap();
    let cut = folder.join("cut.wasm").to_str().unwrap().to_owned();
    fs::write(&cut, &holdfast::COMPONENT[..holdfast::COMPONENT.len() / 2]).unwrap();
    let module = write(folder, "module.wasm", "(module)");
    let missing = folder.join("missing.wasm").to_str().unwrap().to_owned();
    let (folder, device) = (folder.to_str().unwrap().to_owned(), "/dev/zero".to_owned());
    let refused = [
        (&folder, "cannot read FILE: it is not a regular file\n"),
        (&device, "cannot read FILE: it is not a regular file\n"),
        (&missing, "cannot read FILE: No such file or directory (os error 2)\n"),
        (&text, "FILE is not a WebAssembly component\n"),
        (&module, "FILE is a core module, not a component\n"),
        (&cut, "FILE"),
    ];
    let refused = refused.map(|(file, why)| (file.clone(), why.replace("FILE", file)));
    refused.map(|(file, why)| (file, format!("holdfast: {why}"))).into()
}

#[test]
fn the_lock_component_is_exported() {
    let folder = temporary_dir();
    let file = folder.path().join("lock.wasm");
    assert_eq!(component(&["export", file.to_str().unwrap()]).0, Some(0));
    assert_eq!(fs::read(&file).unwrap(), holdfast::COMPONENT);
    assert_eq!(output(&["export", "-"]).stdout, holdfast::COMPONENT);
    let (code, _, stderr) = component(&["export", "/no/such/folder/lock.wasm"]);
    assert_eq!(code, Some(2));
    assert!(stderr.starts_with("holdfast: cannot write /no/such/folder/lock.wasm: "), "{stderr}");
}

//! The lock component in hosts of other languages, each with a store in its own language: the programs
//! `examples/node-store` and `examples/python-store`.

use std::{fs, process::Command};

use holdfast_tests::{prepared, read, repository, sdk::Running, temporary_dir};
use tempfile::TempDir;

/// A folder with `lock.wasm`, as `holdfast component export` writes it.
fn component() -> TempDir {
    let folder = temporary_dir();
    fs::write(folder.path().join("lock.wasm"), holdfast::COMPONENT).unwrap();
    folder
}

#[test]
fn node_runs_the_lock_component_over_a_store_in_javascript() {
    let Some(made) = prepared("HOLDFAST_HOST_NODE", "lock component's host node") else { return };
    let component = component();
    let mut transpile = Command::new("node");
    transpile.arg("transpile.mjs").arg(component.path().join("lock.wasm")).current_dir(&made);
    assert_eq!(Running::start(transpile).output(), "");

    let mut locks = Command::new("node");
    locks.arg("locks.mjs").current_dir(&made);
    assert_eq!(Running::start(locks).output(), read("examples/node-store/expected.txt"));
}

#[test]
fn python_runs_the_lock_component_over_a_store_in_python() {
    let Some(made) = prepared("HOLDFAST_HOST_PYTHON", "lock component's host python") else {
        return;
    };
    let component = component();
    let mut locks = Command::new(made.join("venv/bin/python"));
    // `-B` keeps the interpreter from writing to the folder of the example.
    locks
        .arg("-B")
        .arg(repository("examples/python-store/locks.py"))
        .arg(component.path().join("lock.wasm"));
    assert_eq!(Running::start(locks).output(), read("examples/python-store/expected.txt"));
}

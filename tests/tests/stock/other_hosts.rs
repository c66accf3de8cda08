//! The lock component in hosts of other languages, each with a store in its own language: the programs
//! `examples/node-store`, which Deno and Bun run as well, and `examples/python-store`.

use std::{fs, path::Path, process::Command};

use holdfast_tests::{prepared, read, repository, sdk::Running, temporary_dir};
use tempfile::TempDir;

/// A folder with `lock.wasm`, as `holdfast component export` writes it.
fn component() -> TempDir {
    let folder = temporary_dir();
    fs::write(folder.path().join("lock.wasm"), holdfast::COMPONENT).unwrap();
    folder
}

/// Transpiles the lock component and calls it, by the program `examples/node-store`. `runtime` is the command that runs
/// a file of JavaScript.
fn node_store(made: &Path, runtime: impl Fn() -> Command) {
    let component = component();
    let mut transpile = runtime();
    transpile.arg("transpile.mjs").arg(component.path().join("lock.wasm")).current_dir(made);
    assert_eq!(Running::start(transpile).output(), "");

    let mut locks = runtime();
    locks.arg("locks.mjs").current_dir(made);
    assert_eq!(Running::start(locks).output(), read("examples/node-store/expected.txt"));
}

#[test]
fn node_runs_the_lock_component_over_a_store_in_javascript() {
    let Some(made) = prepared("HOLDFAST_HOST_NODE", "lock component's host node") else { return };
    node_store(&made, || Command::new("node"));
}

#[test]
fn deno_runs_what_node_runs() {
    let Some(made) = prepared("HOLDFAST_HOST_DENO", "lock component's host deno") else { return };
    node_store(&made, || {
        let mut deno = Command::new(made.join("venv/bin/deno"));
        deno.env("DENO_DIR", made.join("cache")).env("DENO_NO_UPDATE_CHECK", "1");
        deno.args(["run", "--allow-all", "--cached-only", "--quiet"]);
        deno
    });
}

#[test]
fn bun_runs_what_node_runs() {
    let Some(made) = prepared("HOLDFAST_HOST_BUN", "lock component's host bun") else { return };
    node_store(&made, || {
        let mut bun = Command::new(made.join("venv/bin/bun"));
        bun.args(["--no-install", "run"]);
        bun
    });
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

//! `holdfast component run`.

use std::{fs, path::Path};

use holdfast_tests::{
    PLUGIN, prepared, redis_server::RedisServer, resources::Resources, temporary_dir,
};

use super::{component, no_components, write};

/// A command whose `run` has this code. It may call `$exit` with a code.
fn command(folder: &Path, name: &str, code: &str) -> String {
    let text = format!(
        r#"(component
            (import "wasi:cli/exit@0.2.12" (instance $exit
                (export "exit-with-code" (func (param "status-code" u8)))))
            (core func $exit (canon lower (func $exit "exit-with-code")))
            (core module $code
                (import "wasi" "exit" (func $exit (param i32)))
                (func (export "run") (result i32) {code}))
            (core instance $code (instantiate $code
                (with "wasi" (instance (export "exit" (func $exit))))))
            (func $run (result (result)) (canon lift (core func $code "run")))
            (instance $run (export "run" (func $run)))
            (export "wasi:cli/run@0.2.0" (instance $run)))"#
    );
    write(folder, name, &text)
}

#[test]
fn a_plugin_has_a_store_in_memory_that_ends_with_it() {
    for _ in 0..2 {
        let (code, stdout, stderr) = component(&["run", PLUGIN]);
        assert_eq!((code, stdout.as_str()), (Some(0), "mine, freed\n"), "{stderr}");
        let warning = "no --resources-path is given: lending the store lockstore of type \
            lock.in-memory, whose locks end with this process\n";
        assert!(stderr.contains("WARN") && stderr.ends_with(warning), "{stderr}");
    }
    assert_eq!(component(&["run", PLUGIN, "--log-level", "error"]).2, "");
}

#[test]
fn a_plugin_locks_in_redis_as_the_application() {
    let redis = RedisServer::start();
    let resources = Resources::in_redis(&redis, &[]);
    let run = || {
        let options = ["--app-id", "app1", "--resources-path", resources.path()];
        component(&[&["run", PLUGIN, "--log-level", "error"][..], &options].concat())
    };
    assert_eq!(run(), (Some(0), "mine, freed\n".to_owned(), String::new()));
    redis.run::<()>(&["SET", "lock||app1||greeting", "somebody"]);
    let held = "another node's, UnlockStatus::LockBelongsToOthers\n";
    assert_eq!(run(), (Some(0), held.to_owned(), String::new()));
}

#[test]
fn the_exit_code_is_that_of_the_plugin() {
    let folder = temporary_dir();
    for (name, code, exit) in [
        ("good.wasm", "i32.const 0", 0),
        ("bad.wasm", "i32.const 1", 1),
        ("exits.wasm", "(call $exit (i32.const 42)) i32.const 0", 42),
        ("done.wasm", "(call $exit (i32.const 0)) i32.const 1", 0),
    ] {
        let file = command(folder.path(), name, code);
        let ended = component(&["run", &file, "--log-level", "error"]);
        assert_eq!(ended, (Some(exit), String::new(), String::new()), "{name}");
    }
}

#[test]
fn a_plugin_gets_its_arguments_and_no_environment() {
    let folder = temporary_dir();
    let file = folder.path().join("locks.wasm");
    fs::write(&file, holdfast_compositions::lock_cli().unwrap().wasm).unwrap();
    let run = |args: &[&str]| {
        let start = ["run", file.to_str().unwrap(), "--log-level", "error", "--"];
        component(&[&start, args].concat())
    };
    let version = format!("holdfast {}\n", env!("CARGO_PKG_VERSION"));
    assert_eq!(run(&["--version"]), (Some(0), version, String::new()));
    let (code, stdout, stderr) = run(&["unlock", "lockstore", "r", "--owner", "o"]);
    assert_eq!((code, stdout.as_str()), (Some(2), ""));
    assert!(stderr.contains("REDIS_HOST"), "{stderr}");
}

#[test]
fn what_cannot_be_run_is_named() {
    let folder = temporary_dir();
    let import = r#"(component (import "a:b/c@1.0.0" (instance (export "f" (func)))))"#;
    let other = r#"(component
        (import "a:b/c@1.0.0" (instance (export "f" (func))))
        (core module $code (func (export "run") (result i32) unreachable))
        (core instance $code (instantiate $code))
        (func $run (result (result)) (canon lift (core func $code "run")))
        (instance $run (export "run" (func $run)))
        (export "wasi:cli/run@0.2.0" (instance $run)))"#;
    let export = r#"(component
        (core module $code (func (export "run")))
        (core instance $code (instantiate $code))
        (func (export "run") (canon lift (core func $code "run"))))"#;
    let traps = command(folder.path(), "traps.wasm", "unreachable");
    let cases = [
        (
            write(folder.path(), "empty.wasm", "(component)"),
            "exports neither wasi:cli/run nor run: func() -> string",
        ),
        (write(folder.path(), "imports.wasm", import), "exports neither"),
        (write(folder.path(), "export.wasm", export), "exports neither"),
        (write(folder.path(), "other.wasm", other), "a:b/c@1.0.0"),
        (
            write(folder.path(), "other.wasm", other),
            "has an import that is not lent: plugins get holdfast:lock/lock, holdfast:lock/lease and \
             wasi:cli/imports@0.2",
        ),
        (traps, "unreachable"),
    ];
    for (file, why) in cases {
        let (code, stdout, stderr) = component(&["run", &file, "--log-level", "error"]);
        assert_eq!((code, stdout.as_str()), (Some(2), ""), "{stderr}");
        let named = stderr.starts_with(&format!("holdfast: {file} "));
        assert!(named && stderr.contains(why), "{stderr}");
    }
    for (file, why) in no_components(folder.path()) {
        let (code, stdout, stderr) = component(&["run", &file]);
        assert_eq!((code, stdout.as_str()), (Some(2), ""), "{stderr}");
        assert!(stderr.starts_with(&why), "{stderr}");
    }
    let (code, _, stderr) = component(&["run", PLUGIN, "--resources-path", "/no/such/folder"]);
    assert!(code == Some(2) && stderr.contains("/no/such/folder"), "{stderr}");
}

fn hello(language: &str, unlocked: &str) {
    let variable = format!("HOLDFAST_PLUGIN_{}", language.to_uppercase());
    let Some(folder) = prepared(&variable, &format!("plugin in {language}")) else {
        return;
    };
    let file = folder.join("hello.wasm");
    let ended = component(&["run", file.to_str().unwrap(), "--log-level", "error"]);
    let said = format!("hello, the lock is mine\nunlock: {unlocked}\n");
    assert_eq!(ended, (Some(0), said, String::new()));
}

#[test]
fn hello_in_javascript_prints_its_text() {
    hello("javascript", "success");
}

#[test]
fn hello_in_rust_is_a_command() {
    hello("rust", "UnlockStatus::Success");
}

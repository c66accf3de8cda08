//! The hello plugins in each of their languages.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::process::Command;

fn hello(language: &str, unlocked: &str) {
    let variable = format!("HOLDFAST_PLUGIN_{}", language.to_uppercase());
    let Some(folder) = holdfast_tests::prepared(&variable, &format!("plugin in {language}")) else {
        return;
    };
    let mut host = Command::new(env!("CARGO_BIN_EXE_hello-host"));
    let output = host.arg(folder.join("hello.wasm")).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let stdout = String::from_utf8(output.stdout).unwrap();
    assert_eq!(stdout, format!("hello, the lock is mine\nunlock: {unlocked}\n"));
}

#[test]
fn in_javascript() {
    hello("javascript", "success");
}

#[test]
fn in_rust() {
    hello("rust", "UnlockStatus::Success");
}

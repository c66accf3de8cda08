//! Every target with its corpus, and with changes of it.
//!
//! The changes are the same in each run, so that a failure can be repeated. They are few compared with those of
//! `cargo xtask fuzz`, which also learns which code an input reaches.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    fs,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
};

use holdfast_fuzz::{TARGETS, Target};

mod mutation;

use mutation::Mutator;

/// The most changes of one file.
const CHANGES: usize = 50;

#[test]
fn component_files() {
    corpus_of("component_files");
}

#[test]
fn component_values() {
    corpus_of("component_values");
}

#[test]
fn durations() {
    corpus_of("durations");
}

#[test]
fn http_paths() {
    corpus_of("http_paths");
}

#[test]
fn json_calls() {
    corpus_of("json_calls");
}

#[test]
fn redis_replies() {
    corpus_of("redis_replies");
}

#[test]
fn redis_settings() {
    corpus_of("redis_settings");
}

#[test]
fn each_target_has_a_corpus_and_a_program() {
    let names: Vec<_> = TARGETS.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(names_in("corpus"), names);
    let programs = names_in("targets").into_iter();
    let programs = programs.filter_map(|name| name.strip_suffix(".rs").map(str::to_owned));
    assert_eq!(programs.collect::<Vec<_>>(), names);
}

/// Runs a target with each file of its corpus, and with changes of it.
fn corpus_of(name: &str) {
    let (_, target) = TARGETS.iter().find(|(target, _)| *target == name).unwrap();
    let files: Vec<_> = names_in(&format!("corpus/{name}"))
        .into_iter()
        .map(|file| folder().join("corpus").join(name).join(file))
        .map(|file| (fs::read(&file).unwrap(), file))
        .collect();
    assert!(!files.is_empty(), "{name} has no corpus");
    let inputs: Vec<_> = files.iter().map(|(input, _)| input.as_slice()).collect();
    for (index, (input, file)) in files.iter().enumerate() {
        try_input(*target, input, file);
        let mut mutator = Mutator::new(index as u64, &inputs);
        for _ in 0..CHANGES {
            try_input(*target, &mutator.change(input), file);
        }
    }
}

/// Runs a target. A failure names the file, and shows the input.
fn try_input(target: Target, input: &[u8], file: &Path) {
    if catch_unwind(AssertUnwindSafe(|| target(input))).is_err() {
        panic!("{}, as it is or changed to b\"{}\"", file.display(), input.escape_ascii());
    }
}

/// The names in a folder of this package, sorted.
fn names_in(name: &str) -> Vec<String> {
    let entries = fs::read_dir(folder().join(name)).unwrap();
    let mut names: Vec<_> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()
}

//! A stdout that cannot be written to: stderr says what was done, and a lock is given back if its owner cannot learn of
//! it.

use std::{
    fs::File,
    io,
    process::{Command, Output, Stdio},
};

use holdfast_tests::{STORE, holdfast::command, redis_server::RedisServer, resources::Resources};

use crate::{HOLDFAST, in_files};

/// Runs a command to its end with this stdout: the exit code and stderr.
fn run_into(command: &mut Command, stdout: Stdio) -> (Option<i32>, String) {
    let Output { status, stderr, .. } =
        command.stdout(stdout).stderr(Stdio::piped()).output().unwrap();
    (status.code(), String::from_utf8(stderr).unwrap())
}

/// A full disk, a pipe whose reader has gone, and a file that is open for reading only.
fn unwritable() -> [(Stdio, &'static str); 3] {
    let (reader, closed) = io::pipe().unwrap();
    drop(reader);
    [
        (File::options().write(true).open("/dev/full").unwrap().into(), "No space left on device"),
        (closed.into(), "Broken pipe"),
        (File::open("/dev/null").unwrap().into(), "Bad file descriptor"),
    ]
}

#[test]
fn a_lock_whose_grant_cannot_be_printed_is_given_back() {
    let redis = RedisServer::start();
    let resources = Resources::in_redis(&redis, &[]);
    let in_files = |words: &[&str]| {
        let mut command = in_files(&resources, words);
        command.args(["--log-level", "error"]);
        command
    };
    let try_lock = ["try-lock", STORE, "r", "--owner", "me", "--expiry", "60"];
    for form in [&[][..], &["--json"]] {
        for (stdout, problem) in unwritable() {
            let (code, stderr) = run_into(&mut in_files(&[&try_lock, form].concat()), stdout);
            let expected = "holdfast: the lock was taken, and given back: cannot write to stdout: ";
            assert_eq!(code, Some(2), "{stderr}");
            assert!(stderr.starts_with(expected) && stderr.contains(problem), "{stderr}");
            assert!(!redis.exists("lock||app1||r"), "{stderr}");
        }
    }
    // A lock that another hold has, even one of the same owner, stays.
    redis.run::<()>(&["SET", "lock||app1||r", "me", "EX", "60"]);
    for (stdout, _) in unwritable() {
        let (code, stderr) = run_into(&mut in_files(&try_lock), stdout);
        assert_eq!(code, Some(2));
        assert!(
            stderr.starts_with("holdfast: the answer is false: cannot write to stdout: "),
            "{stderr}"
        );
        assert!(redis.exists("lock||app1||r"));
    }
}

#[test]
fn what_cannot_be_printed_is_an_error() {
    let redis = RedisServer::start();
    let resources = Resources::in_redis(&redis, &[]);
    for (words, expected) in [
        (
            &["unlock", STORE, "r", "--owner", "me"][..],
            "the answer is success: cannot write to stdout: ",
        ),
        (&["unlock", STORE, "r", "--force"], "the answer is success: cannot write to stdout: "),
        (
            &["unlock", STORE, "r", "--owner", "me", "--json"],
            r#"the answer is {"status":0}: cannot write to stdout: "#,
        ),
        (&["locks"], "cannot write to stdout: "),
        (&["locks", "--json"], "cannot write to stdout: "),
        (&["locks", "--watch", "--json"], "cannot write to stdout: "),
        (&["check"], "cannot write to stdout: "),
        (&["check", "--json"], "cannot write to stdout: "),
    ] {
        for (stdout, problem) in unwritable() {
            redis.run::<()>(&["SET", "lock||r", "me", "EX", "60"]);
            let mut command = command(HOLDFAST);
            command.args(words).args(["--resources-path", resources.path()]);
            let (code, stderr) = run_into(command.args(["--log-level", "error"]), stdout);
            assert_eq!(code, Some(2), "{words:?}: {stderr}");
            let last = stderr.lines().last().unwrap();
            assert!(last.starts_with(&format!("holdfast: {expected}")), "{words:?}: {stderr}");
            assert!(last.contains(problem), "{words:?}: {stderr}");
        }
    }
    for words in [
        &["--help"][..],
        &["--version"],
        &["serve", "-h"],
        &["man"],
        &["completions", "bash"],
        &["component", "export", "-"],
    ] {
        for (stdout, problem) in unwritable() {
            let (code, stderr) = run_into(command(HOLDFAST).args(words), stdout);
            assert_eq!(code, Some(2), "{words:?}: {stderr}");
            assert!(
                stderr.starts_with("holdfast: cannot write to stdout: "),
                "{words:?}: {stderr}"
            );
            assert!(stderr.contains(problem), "{words:?}: {stderr}");
        }
    }
}

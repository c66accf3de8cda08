//! A stderr that cannot be written to, because the disk is full, its reader has gone, or nobody reads it.

use std::{
    cell::RefCell,
    fs::{self, File},
    io::{self, PipeReader, PipeWriter, Read, Write},
    os::unix::net::UnixStream,
    process::{Command, Stdio},
};

use holdfast_tests::{
    APP_ID, LONG, STORE, free_port,
    holdfast::command,
    process::Watched,
    redis_server::RedisServer,
    resources::{Resources, in_memory},
    temporary_dir,
};
use rustix::{
    fs::{OFlags, fcntl_getfl, fcntl_setfl},
    process::{Pid, Signal, kill_process},
};

use crate::{HOLDFAST, in_files, wait_until};

/// Works until it is ordered to end. The shell reports children that SIGTERM ends to its own stderr.
const SCRIPT: &str = "exec 2> /dev/null; trap 'echo > said; exit' TERM; echo > begun
                      while [ -e here ]; do sleep 0.05; done";

/// A pipe that takes no more bytes.
fn full_pipe() -> (PipeReader, PipeWriter) {
    let (reader, mut writer) = io::pipe().unwrap();
    let flags = fcntl_getfl(&writer).unwrap();
    fcntl_setfl(&writer, flags | OFlags::NONBLOCK).unwrap();
    while writer.write(&[b'.'; 4096]).is_ok() {}
    while writer.write(b".").is_ok() {}
    fcntl_setfl(&writer, flags).unwrap();
    (reader, writer)
}

fn full_disk() -> Stdio {
    File::options().write(true).open("/dev/full").unwrap().into()
}

/// Runs a command to its end, with a stderr that reports an error: the exit code and stdout.
fn run_deaf(command: &mut Command) -> (Option<i32>, String) {
    let output = command.stderr(full_disk()).stdout(Stdio::piped()).output().unwrap();
    (output.status.code(), String::from_utf8(output.stdout).unwrap())
}

/// Waits for the end of a process, and returns its exit code.
fn end(process: Watched) -> Option<i32> {
    let process = RefCell::new(process);
    let status = || process.borrow_mut().process_mut().try_wait().unwrap();
    wait_until("the process ends", || status().is_some());
    status().and_then(|status| status.code())
}

/// Nobody else may have the lock while the program works.
#[test]
fn a_lost_lock_ends_the_program() {
    let redis = RedisServer::start();
    let resources = Resources::in_redis(&redis, &[]);
    let (unread, full) = full_pipe();
    let (reader, unheard) = io::pipe().unwrap();
    drop(reader);
    for stderr in [full_disk(), unheard.into(), full.into()] {
        let folder = temporary_dir();
        fs::write(folder.path().join("here"), "").unwrap();
        let mut command = command(HOLDFAST);
        command.args(["run", STORE, "job", "--app-id", APP_ID, "--ttl", "3s"]);
        command.args(["--resources-path", resources.path(), "--", "sh", "-c", SCRIPT]);
        command.current_dir(folder.path()).stdin(Stdio::null()).stderr(stderr);
        let running = Watched::start(command);
        wait_until("the program works", || folder.path().join("begun").exists());
        redis.run::<()>(&["FLUSHALL"]);
        wait_until("the program is ordered to end", || folder.path().join("said").exists());
        assert_eq!(end(running), Some(193));
    }
    drop(unread);
}

#[test]
fn a_server_serves_and_ends() {
    let folder = temporary_dir();
    let (_unread, full) = full_pipe();
    let mut command = command(HOLDFAST);
    command.args(["serve", "--enable-metrics=false", "--log-level", "debug", "--app-id", "a"]);
    command.arg("--unix-domain-socket").arg(folder.path());
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(full);
    let server = Watched::start(command);
    let socket = folder.path().join("dapr-a-http.socket");
    wait_until("it listens", || UnixStream::connect(&socket).is_ok());
    let mut stream = UnixStream::connect(&socket).unwrap();
    stream.set_read_timeout(Some(LONG)).unwrap();
    let request = "GET /v1.0/healthz HTTP/1.1\r\nHost: l\r\nConnection: close\r\n\r\n";
    stream.write_all(request.as_bytes()).unwrap();
    let mut reply = String::new();
    stream.read_to_string(&mut reply).unwrap();
    assert!(reply.starts_with("HTTP/1.1 204 "), "{reply}");
    kill_process(Pid::from_child(server.process()), Signal::TERM).unwrap();
    assert_eq!(end(server), Some(0));
}

#[test]
fn commands_have_their_exit_codes() {
    let redis = RedisServer::start();
    let resources = Resources::in_redis(&redis, &[]);
    let in_files = |words: &[&str]| in_files(&resources, words);
    redis.run::<()>(&["SET", "lock||app1||held", "somebody"]);
    let (code, checked) = run_deaf(&mut in_files(&["check", "--json"]));
    assert_eq!(code, Some(0));
    assert!(checked.contains(STORE), "{checked}");
    let memory = Resources::new(&[("s.yaml", &in_memory("s"))]);
    let mut strict = command(HOLDFAST);
    strict.args(["check", "--strict", "--resources-path", memory.path()]);
    assert_eq!(run_deaf(&mut strict).0, Some(2));
    let (code, said) = run_deaf(&mut in_files(&["unlock", STORE, "held", "--force"]));
    assert_eq!((code, said.as_str()), (Some(0), "success\n"));

    redis.run::<()>(&["SET", "lock||app1||held", "somebody"]);
    for (words, expected) in [(&["run", STORE, "held"][..], 124), (&["run", "unknown", "job"], 125)]
    {
        let mut command = in_files(words);
        command.args(["--", "true"]);
        assert_eq!(run_deaf(&mut command).0, Some(expected), "{words:?}");
    }
    let mut missing = in_files(&["run", STORE, "job"]);
    missing.args(["--", "/no/such/program"]);
    assert_eq!(run_deaf(&mut missing).0, Some(127));
    let port = free_port().to_string();
    let mut health = command(HOLDFAST);
    health.args(["health", "--port", &port]);
    assert_eq!(run_deaf(&mut health).0, Some(1));
}

#[test]
fn a_help_that_cannot_be_written_is_an_error() {
    for words in [&["--help"][..], &["--version"], &["serve", "--help"]] {
        let status = command(HOLDFAST).args(words).stdout(full_disk()).status().unwrap();
        assert_eq!(status.code(), Some(2), "{words:?}");
    }
}

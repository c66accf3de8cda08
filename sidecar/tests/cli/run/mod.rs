//! `holdfast run`.
//!
//! - `ends.rs`: exit codes, variables, and the end of the lock.
//! - `waiting.rs`: waiting for the lock, and signals meanwhile.
//! - `loss.rs`: a lock that is lost, or held too long.
//! - `fencing.rs`: the use of fencing tokens.
//! - `group.rs`: the process group of the program.
//! - `remote.rs`: a lock from a running server.
//! - `terminal.rs`: a program on a terminal.

mod ends;
mod fencing;
mod group;
mod loss;
mod remote;
mod terminal;
mod waiting;

use std::{fs, path::Path, process::Command};

use holdfast_tests::{
    APP_ID, STORE,
    holdfast::{Holdfast, command},
    redis_server::RedisServer,
    resources::Resources,
    temporary_dir,
};
use rustix::process::{Pid, test_kill_process};
use tempfile::TempDir;

use crate::{HOLDFAST, wait_until};

/// The lock of each test, as `run` and as Redis know it.
const RESOURCE: &str = "job";
const KEY: &str = "lock||app1||job";

/// The last command of a script that works until it is ended, or its test is over.
const WORK: &str = "echo $$ > leader; while [ -e here ]; do sleep 0.05; done";

/// A server, the files that define a store on it, and the folder in which scripts run.
struct Place {
    redis: RedisServer,
    resources: Resources,
    folder: TempDir,
}

impl Place {
    fn new() -> Self {
        Self::on(RedisServer::start())
    }

    /// A server that does not notify of changes of locks.
    fn without_push() -> Self {
        Self::on(RedisServer::start_with(&["--rename-command", "HELLO", ""]))
    }

    fn on(redis: RedisServer) -> Self {
        let resources = Resources::in_redis(&redis, &[]);
        let folder = temporary_dir();
        fs::write(folder.path().join("here"), "").unwrap();
        Self { redis, resources, folder }
    }

    /// `holdfast run` with these options before the program, in the folder.
    fn command(&self, options: &[&str], program: &[&str]) -> Command {
        let mut command = command(HOLDFAST);
        command.args(["run", STORE, RESOURCE, "--app-id", APP_ID]);
        command.args(["--resources-path", self.resources.path()]);
        command.args(options).arg("--").args(program).current_dir(self.folder.path());
        command
    }

    /// Starts a shell script under the lock.
    fn start(&self, options: &[&str], script: &str) -> Holdfast {
        Holdfast::start(self.command(options, &["sh", "-c", script]))
    }

    /// Runs a shell script under the lock to its end: the exit code and stderr.
    fn run(&self, options: &[&str], script: &str) -> (Option<i32>, String) {
        let mut running = self.start(options, script);
        (running.wait(), running.log())
    }

    /// Lets somebody else hold the lock.
    fn hold(&self) {
        self.redis.run::<()>(&["SET", KEY, "somebody-else"]);
    }

    fn owner(&self) -> Option<String> {
        self.redis.run(&["GET", KEY])
    }

    /// Whether the lock is free.
    fn is_free(&self) -> bool {
        !self.redis.exists(KEY)
    }

    /// The text that a script has written to a file of the folder.
    fn said(&self, file: &str) -> String {
        fs::read_to_string(self.folder.path().join(file)).unwrap_or_default()
    }

    fn wait_until_said(&self, file: &str, words: &str) {
        wait_until(&format!("{words} in {file}"), || self.said(file).contains(words));
    }

    /// The id of a process that a script has written to a file.
    fn process(&self, file: &str) -> Pid {
        wait_until(file, || self.said(file).ends_with('\n'));
        Pid::from_raw(self.said(file).trim().parse().unwrap()).unwrap()
    }

    /// Waits until somebody waits for the lock: Redis notifies the waiter when it changes.
    fn wait_until_awaited(&self) {
        wait_until("somebody waits", || {
            let clients: String = self.redis.run(&["CLIENT", "LIST"]);
            clients.lines().any(|client| client.contains("flags=t ") && client.contains("cmd=eval"))
        });
    }
}

/// Whether a process has ended, though perhaps nobody has waited for it.
fn is_over(process: Pid) -> bool {
    let stat = Path::new("/proc").join(process.to_string()).join("stat");
    test_kill_process(process).is_err()
        || fs::read_to_string(stat).is_ok_and(|stat| stat.contains(") Z "))
}

//! The binary, started with arguments and an environment that a test chooses.

#![allow(dead_code, reason = "each test file uses its own part")]
#![allow(clippy::unwrap_used, reason = "helpers of tests may panic as tests do")]

pub mod deployed;

use std::{
    io::{BufRead, BufReader},
    process::{Command, Output, Stdio},
    sync::mpsc,
    thread,
    time::Duration,
};

use holdfast_tests::process::Watched;
use rustix::process::{Pid, Signal, kill_process};

/// Longer than anything takes: what is waited for so long is missing.
pub const LONG: Duration = Duration::from_secs(60);

/// The binary, without what this process's environment would tell it.
pub fn holdfast() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_holdfast"));
    let told = ["APP_ID", "NAMESPACE", "NOTIFY_SOCKET"];
    let dapr = std::env::vars().map(|(name, _)| name).filter(|name| name.starts_with("DAPR_"));
    for name in told.into_iter().map(str::to_owned).chain(dapr) {
        command.env_remove(name);
    }
    command
}

/// `holdfast serve` with free ports.
pub fn serve() -> Command {
    let mut command = holdfast();
    command.args(["serve", "--dapr-http-port", "0", "--dapr-grpc-port", "0"]);
    command.args(["--metrics-port", "0", "--metrics-listen-address", "127.0.0.1"]);
    command
}

/// What `holdfast serve --help` says.
pub fn help_of_serve() -> String {
    let Output { status, stdout, .. } = holdfast().args(["serve", "--help"]).output().unwrap();
    assert!(status.success());
    String::from_utf8(stdout).unwrap()
}

/// Whether `holdfast serve` has an option.
pub fn knows(option: &str) -> bool {
    help_of_serve().split([' ', '\n', ',', '[', ']', '=']).any(|word| word == option)
}

/// A running `holdfast serve`, which is killed with the test.
pub struct Serving {
    pub process: Watched,
    log: mpsc::Receiver<String>,
}

impl Serving {
    /// Not ready yet.
    pub fn start(mut command: Command) -> Self {
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut process = Watched::start(command);
        let stderr = BufReader::new(process.process_mut().stderr.take().unwrap());
        let (lines, log) = mpsc::channel();
        thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                let _ = lines.send(line);
            }
        });
        Self { process, log }
    }

    /// The port of the first line of the log from here on that says this and an address.
    pub fn port(&self, what: &str) -> String {
        let line = self.wait_for(what);
        let address = line.split("http://").nth(1).unwrap();
        let address = address.split(['"', '/', ' ']).next().unwrap();
        address.rsplit_once(':').unwrap().1.to_owned()
    }

    /// The next line of the log with this in it.
    pub fn wait_for(&self, what: &str) -> String {
        let mut seen = Vec::new();
        loop {
            match self.log.recv_timeout(LONG) {
                Ok(line) if line.contains(what) => return line,
                Ok(line) => seen.push(line),
                Err(_) => panic!("no {what:?} in the log: {seen:#?}"),
            }
        }
    }

    /// Ends it as a service manager does; what it exits with.
    pub fn terminate(&mut self) -> Option<i32> {
        kill_process(Pid::from_child(self.process.process()), Signal::TERM).unwrap();
        self.process.process_mut().wait().unwrap().code()
    }
}

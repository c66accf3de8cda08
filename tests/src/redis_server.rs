//! A redis-server on a free port of 127.0.0.1, for one test.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use redis::{Client, Connection, FromRedisValue, RedisResult};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::{clock::Clock, free_port, prepared, process::Watched, temporary_dir};

const STARTING: Duration = Duration::from_secs(20);

/// A server that runs until it is dropped, and never longer than the test's process.
pub struct RedisServer {
    program: PathBuf,
    port: u16,
    arguments: Vec<String>,
    environment: Vec<(String, String)>,
    login: Vec<String>,
    dir: TempDir,
    running: Option<Watched>,
}

impl RedisServer {
    /// Starts a server without persistence.
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// Starts a server with more command-line arguments, as `redis-server` takes them.
    pub fn start_with(arguments: &[&str]) -> Self {
        Self::start_in(temporary_dir(), arguments, &[])
    }

    /// Starts a server that reads this clock, with more command-line arguments.
    pub fn start_by(clock: &Clock, arguments: &[&str]) -> Self {
        Self::launch(server_program(), temporary_dir(), arguments, clock.environment(), &[])
    }

    /// Starts a server whose default user has a password.
    pub fn start_with_password(password: &str) -> Self {
        Self::start_in(temporary_dir(), &["--requirepass", password], &[password])
    }

    /// Starts the Valkey that `cargo xtask test` prepared. Where there is none, says that the test is skipped.
    pub fn start_valkey() -> Option<Self> {
        let made = prepared("HOLDFAST_SERVER_VALKEY", "Valkey")?;
        Some(Self::launch(made.join("valkey-server"), temporary_dir(), &[], Vec::new(), &[]))
    }

    /// Starts a server in a directory that holds the files named by its arguments. `login` is what this
    /// handle passes to AUTH; empty for no AUTH.
    ///
    /// # Panics
    ///
    /// When it does not answer in time; the message includes its log.
    pub fn start_in(dir: TempDir, arguments: &[&str], login: &[&str]) -> Self {
        Self::launch(server_program(), dir, arguments, Vec::new(), login)
    }

    fn launch(
        program: PathBuf,
        dir: TempDir,
        arguments: &[&str],
        environment: Vec<(String, String)>,
        login: &[&str],
    ) -> Self {
        let owned = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
        let (arguments, login) = (owned(arguments), owned(login));
        let mut server =
            Self { program, port: 0, arguments, environment, login, dir, running: None };
        // Another process may take the free port before the server listens on it.
        for _ in 0..5 {
            server.port = free_port();
            if server.try_run() {
                return server;
            }
        }
        panic!("{} does not start:\n{}", server.program.display(), server.log());
    }

    /// The port without TLS.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The `host:port` without TLS.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// The server's working directory.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Runs a command on a new connection.
    ///
    /// # Panics
    ///
    /// When the command fails.
    pub fn run<T: FromRedisValue>(&self, words: &[&str]) -> T {
        self.try_command(words).unwrap_or_else(|error| panic!("{words:?}: {error}"))
    }

    /// Runs a command on a new connection.
    ///
    /// # Errors
    ///
    /// The server's or the network's error, or a timeout after five seconds.
    pub fn try_command<T: FromRedisValue>(&self, words: &[&str]) -> RedisResult<T> {
        query(&mut self.connection()?, words)
    }

    /// How many clients are connected, not counting this handle.
    pub fn clients(&self) -> usize {
        self.run::<String>(&["CLIENT", "LIST"]).lines().count() - 1
    }

    /// How many clients have connected so far.
    ///
    /// # Panics
    ///
    /// When the server does not say.
    pub fn connections_received(&self) -> u64 {
        let stats: String = self.run(&["INFO", "stats"]);
        let count = stats.lines().find_map(|line| line.strip_prefix("total_connections_received:"));
        count.expect("a count").trim().parse().expect("a number")
    }

    /// How often the server has carried out a command, named in lower case.
    pub fn calls(&self, command: &str) -> u64 {
        let stats: String = self.run(&["INFO", "commandstats"]);
        let start = format!("cmdstat_{command}:calls=");
        let calls = stats.lines().find_map(|line| line.strip_prefix(&start));
        calls.and_then(|rest| rest.split(',').next()?.parse().ok()).unwrap_or(0)
    }

    /// Starts to count commands anew.
    pub fn forget_calls(&self) {
        self.run::<()>(&["CONFIG", "RESETSTAT"]);
    }

    /// Whether a key exists.
    pub fn exists(&self, key: &str) -> bool {
        self.run(&["EXISTS", key])
    }

    /// Stops carrying out writes until [`unpause`](Self::unpause). Clients can still connect and read.
    pub fn pause_writes(&self) {
        self.run::<()>(&["CLIENT", "PAUSE", "600000", "WRITE"]);
    }

    /// Carries out the writes that [`pause_writes`](Self::pause_writes) stopped.
    pub fn unpause(&self) {
        self.run::<()>(&["CLIENT", "UNPAUSE"]);
    }

    /// Closes the connections of all clients.
    pub fn kill_connections(&self) {
        self.run::<()>(&["CLIENT", "KILL", "TYPE", "normal"]);
    }

    /// Stops the process (SIGSTOP): its sockets stay open, and it answers nothing.
    pub fn suspend(&self) {
        self.signal(Signal::STOP);
    }

    /// Continues the process after [`suspend`](Self::suspend) (SIGCONT).
    pub fn resume(&self) {
        self.signal(Signal::CONT);
    }

    /// Kills the process (SIGKILL).
    pub fn kill(&mut self) {
        self.running = None;
    }

    /// Starts the server again after [`kill`](Self::kill), on the same port and in the same directory.
    ///
    /// # Panics
    ///
    /// When it does not answer in time; the message includes its log.
    pub fn restart(&mut self) {
        assert!(self.try_run(), "redis-server does not start again:\n{}", self.log());
    }

    fn signal(&self, signal: Signal) {
        let running = self.running.as_ref().expect("a running server");
        kill_process(Pid::from_child(running.process()), signal).expect("a signal");
    }

    fn connection(&self) -> RedisResult<Connection> {
        let limit = Duration::from_secs(5);
        let client = Client::open(format!("redis://{}/", self.address()))?;
        let mut connection = client.get_connection_with_timeout(limit)?;
        connection.set_read_timeout(Some(limit))?;
        if !self.login.is_empty() {
            let words: Vec<&str> =
                ["AUTH"].into_iter().chain(self.login.iter().map(String::as_str)).collect();
            query::<()>(&mut connection, &words)?;
        }
        Ok(connection)
    }

    fn try_run(&mut self) -> bool {
        self.running = Some(Watched::start(self.command()));
        let deadline = Instant::now() + STARTING;
        while Instant::now() < deadline {
            if self.try_command::<()>(&["PING"]).is_ok() {
                return true;
            }
            let running = self.running.as_mut().expect("a started server");
            if running.process_mut().try_wait().expect("its status").is_some() {
                break;
            }
            thread::sleep(Duration::from_millis(10));
        }
        self.running = None;
        false
    }

    fn command(&self) -> Command {
        let mut server = Command::new(&self.program);
        server
            .current_dir(self.dir())
            .args(["--port", &self.port.to_string(), "--bind", "127.0.0.1"])
            .args(["--save", "", "--logfile", "log", "--daemonize", "no"])
            .args(&self.arguments)
            .envs(self.environment.iter().cloned())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        server
    }

    fn log(&self) -> String {
        fs::read_to_string(self.dir().join("log")).unwrap_or_default()
    }
}

fn query<T: FromRedisValue>(connection: &mut Connection, words: &[&str]) -> RedisResult<T> {
    redis::cmd(words[0]).arg(&words[1..]).query(connection)
}

/// The program that `cargo xtask test` found, or the one on `PATH`.
fn server_program() -> PathBuf {
    env::var_os("HOLDFAST_REDIS_SERVER").unwrap_or("redis-server".into()).into()
}

//! A redis-server on a free port of 127.0.0.1, for one test.

use std::{
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use redis::{Client, Connection, FromRedisValue, RedisResult};
use rustix::process::{Pid, Signal, kill_process};

use crate::{
    STARTING,
    clock::Clock,
    prepared,
    process::{Watched, suspend},
    redis_options::{HOST, PORT, RedisOptions, TLS_PORT},
};

/// A server that runs until it is dropped, and never longer than the test's process.
pub struct RedisServer {
    options: RedisOptions,
    running: Option<Watched>,
    suspended: AtomicBool,
}

impl RedisServer {
    /// Starts a server without persistence.
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// Starts a server with more command-line arguments, as `redis-server` takes them.
    pub fn start_with(arguments: &[&str]) -> Self {
        Self::start_by_options(RedisOptions::new().arguments(arguments))
    }

    /// Starts a server that reads this clock, with more command-line arguments.
    pub fn start_by(clock: &Clock, arguments: &[&str]) -> Self {
        let options = RedisOptions::new().arguments(arguments).environment(clock.environment());
        Self::start_by_options(options)
    }

    /// Starts a server whose default user has a password.
    pub fn start_with_password(password: &str) -> Self {
        Self::start_by_options(RedisOptions::new().password(password))
    }

    /// Starts the Valkey that `cargo xtask test` prepared. Where there is none, says that the test is skipped.
    pub fn start_valkey() -> Option<Self> {
        let made = prepared("HOLDFAST_SERVER_VALKEY", "Valkey")?;
        Some(Self::start_by_options(RedisOptions::of(made.join("valkey-server"))))
    }

    /// Starts a server with these options.
    ///
    /// # Panics
    ///
    /// When it does not answer in time; the message includes its log.
    pub fn start_by_options(options: RedisOptions) -> Self {
        let mut server = Self { options, running: None, suspended: AtomicBool::new(false) };
        // Another process may take a free port before the server listens on it.
        for _ in 0..5 {
            server.options.choose_ports();
            if server.try_run() {
                return server;
            }
        }
        panic!("{} does not start:\n{}", server.options.program().display(), server.log());
    }

    /// The port without TLS.
    pub fn port(&self) -> u16 {
        self.port_of(PORT)
    }

    /// The port with TLS.
    ///
    /// # Panics
    ///
    /// When the server was started without TLS.
    pub fn tls_port(&self) -> u16 {
        self.port_of(TLS_PORT)
    }

    /// The port that an option of [`RedisOptions::port`] got.
    ///
    /// # Panics
    ///
    /// When the server was started without that option.
    pub fn port_of(&self, option: &str) -> u16 {
        self.options.port_of(option).unwrap_or_else(|| panic!("a server without {option}"))
    }

    /// The `host:port` without TLS.
    pub fn address(&self) -> String {
        format!("{HOST}:{}", self.port())
    }

    /// The port that clients of a test's group of servers use: the one with TLS, if there is one.
    pub fn client_port(&self) -> u16 {
        self.options.port_of(TLS_PORT).unwrap_or_else(|| self.port())
    }

    /// The `host:port` of [`client_port`](Self::client_port).
    pub fn client_address(&self) -> String {
        format!("{HOST}:{}", self.client_port())
    }

    /// The server's working directory.
    pub fn dir(&self) -> &Path {
        self.options.dir()
    }

    /// The log of the server so far.
    pub fn log(&self) -> String {
        self.options.log()
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

    /// Starts over to count commands.
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

    /// Closes the connections of all clients, and returns how many those were.
    pub fn kill_connections(&self) -> u64 {
        self.run(&["CLIENT", "KILL", "TYPE", "normal"])
    }

    /// Stops the process (SIGSTOP): its sockets stay open, and it answers nothing.
    pub fn suspend(&self) {
        suspend(self.pid()).expect("a running process");
        self.suspended.store(true, Ordering::SeqCst);
    }

    /// Continues the process after [`suspend`](Self::suspend) (SIGCONT).
    pub fn resume(&self) {
        kill_process(self.pid(), Signal::CONT).expect("a signal");
        self.suspended.store(false, Ordering::SeqCst);
    }

    /// Whether it runs: it was neither killed nor suspended since it was started.
    pub fn runs(&self) -> bool {
        self.running.is_some() && !self.suspended.load(Ordering::SeqCst)
    }

    /// Kills the process (SIGKILL).
    pub fn kill(&mut self) {
        self.running = None;
        self.suspended.store(false, Ordering::SeqCst);
    }

    /// Starts the server again after [`kill`](Self::kill), on the same ports and in the same directory.
    ///
    /// # Panics
    ///
    /// When it does not answer in time; the message includes its log.
    pub fn restart(&mut self) {
        assert!(self.try_run(), "redis-server does not start again:\n{}", self.log());
    }

    /// Runs a command on a new connection, for a caller that retries until it succeeds. The error is a text that
    /// begins with the command.
    pub(crate) fn ask<T: FromRedisValue>(&self, words: &[&str]) -> Result<T, String> {
        self.try_command(words).map_err(|error| format!("{words:?}: {error}"))
    }

    fn pid(&self) -> Pid {
        Pid::from_child(self.running.as_ref().expect("a running server").process())
    }

    fn connection(&self) -> RedisResult<Connection> {
        let limit = Duration::from_secs(5);
        let client = Client::open(format!("redis://{}/", self.address()))?;
        let mut connection = client.get_connection_with_timeout(limit)?;
        connection.set_read_timeout(Some(limit))?;
        let login = self.options.words_of_login();
        if !login.is_empty() {
            let words: Vec<&str> =
                ["AUTH"].into_iter().chain(login.iter().map(String::as_str)).collect();
            query::<()>(&mut connection, &words)?;
        }
        Ok(connection)
    }

    fn try_run(&mut self) -> bool {
        self.running = Some(Watched::start(self.options.command()));
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
}

fn query<T: FromRedisValue>(connection: &mut Connection, words: &[&str]) -> RedisResult<T> {
    redis::cmd(words[0]).arg(&words[1..]).query(connection)
}

//! A real redis-server on a free port of 127.0.0.1, for one test.

use std::{
    env, fs,
    net::TcpListener,
    path::Path,
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use redis::{Client, Connection, FromRedisValue, RedisResult};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::process::Watched;

const STARTING: Duration = Duration::from_secs(20);

/// A server that runs until it is dropped, and never longer than the test's process.
pub struct RedisServer {
    port: u16,
    arguments: Vec<String>,
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

    /// Starts a server that demands a password of its default user.
    pub fn start_with_password(password: &str) -> Self {
        Self::start_in(temporary_dir(), &["--requirepass", password], &[password])
    }

    /// Starts a server in a directory that holds the files its arguments name; `login` is what
    /// AUTH takes, if it must.
    ///
    /// # Panics
    ///
    /// When it does not answer in time, with its log.
    pub fn start_in(dir: TempDir, arguments: &[&str], login: &[&str]) -> Self {
        let owned = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
        let mut server =
            Self { port: 0, arguments: owned(arguments), login: owned(login), dir, running: None };
        // A free port may be taken by another before the server listens on it.
        for _ in 0..5 {
            server.port = free_port();
            if server.try_run() {
                return server;
            }
        }
        panic!("redis-server does not start:\n{}", server.log());
    }

    /// The port it listens on without TLS.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Its `host:port`.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Its working directory.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Runs a command over a connection of its own.
    ///
    /// # Panics
    ///
    /// When it fails.
    pub fn run<T: FromRedisValue>(&self, words: &[&str]) -> T {
        self.try_command(words).unwrap_or_else(|error| panic!("{words:?}: {error}"))
    }

    /// Runs a command over a connection of its own.
    ///
    /// # Errors
    ///
    /// What the server or the network says; after five seconds that it took too long.
    pub fn try_command<T: FromRedisValue>(&self, words: &[&str]) -> RedisResult<T> {
        query(&mut self.connection()?, words)
    }

    /// The clients that are connected, without the one that asks.
    pub fn clients(&self) -> usize {
        self.run::<String>(&["CLIENT", "LIST"]).lines().count() - 1
    }

    /// Stops the process in its tracks (SIGSTOP): its sockets stay open, nothing is answered.
    pub fn suspend(&self) {
        self.signal(Signal::STOP);
    }

    /// Lets it run again (SIGCONT).
    pub fn resume(&self) {
        self.signal(Signal::CONT);
    }

    /// Kills it (SIGKILL).
    pub fn kill(&mut self) {
        self.running = None;
    }

    /// Starts it again on its port after [`kill`](Self::kill), in the same directory.
    ///
    /// # Panics
    ///
    /// When it does not answer in time, with its log.
    pub fn restart(&mut self) {
        assert!(self.try_run(), "does not start again:\n{}", self.log());
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
        self.running = Some(Watched::start(command(self.port, self.dir(), &self.arguments)));
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

    fn log(&self) -> String {
        fs::read_to_string(self.dir().join("log")).unwrap_or_default()
    }
}

fn program() -> String {
    env::var("HOLDFAST_REDIS_SERVER").unwrap_or("redis-server".to_owned())
}

fn command(port: u16, dir: &Path, arguments: &[String]) -> Command {
    let mut server = Command::new(program());
    server
        .current_dir(dir)
        .args(["--port", &port.to_string(), "--bind", "127.0.0.1"])
        .args(["--save", "", "--logfile", "log", "--daemonize", "no"])
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    server
}

/// A directory for a server, removed with it.
///
/// # Panics
///
/// When there is no room for one.
pub fn temporary_dir() -> TempDir {
    TempDir::with_prefix("holdfast-redis-").expect("a temporary directory")
}

/// A port of 127.0.0.1 on which nobody listens just now.
///
/// # Panics
///
/// When there is none.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("its address").port()
}

fn query<T: FromRedisValue>(connection: &mut Connection, words: &[&str]) -> RedisResult<T> {
    redis::cmd(words[0]).arg(&words[1..]).query(connection)
}

//! How a test starts a redis-server: its files, arguments, ports and login.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use tempfile::TempDir;

use crate::{
    certificates::{Authority, Certified},
    free_port, memory_dir,
};

/// The address on which every server listens.
pub const HOST: &str = "127.0.0.1";

/// The option with the port for connections without TLS, which every server has.
pub const PORT: &str = "--port";

/// The option with the port for connections with TLS.
pub const TLS_PORT: &str = "--tls-port";

/// How a server is started: without persistence, in a new directory, unless more is said.
pub struct RedisOptions {
    program: PathBuf,
    dir: TempDir,
    /// The name of the file with settings, which the program takes before its other arguments.
    settings: Option<&'static str>,
    arguments: Vec<String>,
    environment: Vec<(String, String)>,
    ports: Vec<(&'static str, u16)>,
    login: Vec<String>,
}

impl RedisOptions {
    /// The redis-server that `cargo xtask test` found, or the one on `PATH`, with nothing more.
    #[allow(clippy::new_without_default, reason = "each call makes another directory")]
    pub fn new() -> Self {
        Self::of(env::var_os("HOLDFAST_REDIS_SERVER").unwrap_or("redis-server".into()).into())
    }

    /// A program that takes the arguments of redis-server, with nothing more.
    pub fn of(program: PathBuf) -> Self {
        Self {
            program,
            dir: memory_dir(),
            settings: None,
            arguments: Vec::new(),
            environment: Vec::new(),
            ports: vec![(PORT, 0)],
            login: Vec::new(),
        }
    }

    /// Adds arguments, as `redis-server` takes them.
    pub fn arguments(mut self, words: &[&str]) -> Self {
        self.arguments.extend(owned(words));
        self
    }

    /// Adds variables of the process's environment.
    pub fn environment(mut self, variables: Vec<(String, String)>) -> Self {
        self.environment.extend(variables);
        self
    }

    /// Adds an option whose value is a port, and which gets a free one.
    pub fn port(mut self, option: &'static str) -> Self {
        self.ports.push((option, 0));
        self
    }

    /// Gives the server a file of settings, which it may write to: it finds its own changes there when it is restarted.
    ///
    /// # Panics
    ///
    /// When the file cannot be written.
    pub fn settings(mut self, text: &str) -> Self {
        const FILE: &str = "server.conf";
        self.write(FILE, text);
        self.settings = Some(FILE);
        self
    }

    /// Sets the words that the test's own connections pass to AUTH: a password, or a user and a password.
    pub fn login(mut self, words: &[&str]) -> Self {
        self.login = owned(words);
        self
    }

    /// Gives the default user a password.
    pub fn password(self, password: &str) -> Self {
        self.arguments(&["--requirepass", password]).login(&[password])
    }

    /// Adds a port for connections with TLS, on which the server shows `own`. It trusts clients whose
    /// certificates are the authority's, and refuses those without one if `asks_for_client`.
    ///
    /// # Panics
    ///
    /// When the files of the certificates cannot be written.
    pub fn tls(self, authority: &Authority, own: &Certified, asks_for_client: bool) -> Self {
        self.write("ca.pem", &authority.certificate());
        self.write("server.pem", &own.certificate);
        self.write("server.key", &own.key);
        let asks = if asks_for_client { "yes" } else { "no" };
        self.port(TLS_PORT)
            .arguments(&["--tls-ca-cert-file", "ca.pem", "--tls-cert-file", "server.pem"])
            .arguments(&["--tls-key-file", "server.key", "--tls-auth-clients", asks])
    }

    /// Adds a port with TLS, as [`tls`](Self::tls) does, with a certificate of the authority, and lets the server use
    /// TLS for its connections to other servers. It asks no client for a certificate.
    ///
    /// # Panics
    ///
    /// When the files of the certificates cannot be written.
    pub fn tls_among_servers(self, authority: &Authority) -> Self {
        let own = authority.certify(HOST);
        self.tls(authority, &own, false).arguments(&["--tls-replication", "yes"])
    }

    /// The program.
    pub(crate) fn program(&self) -> &Path {
        &self.program
    }

    /// The server's working directory.
    pub(crate) fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// The words that the test's own connections pass to AUTH; empty for no AUTH.
    pub(crate) fn words_of_login(&self) -> &[String] {
        &self.login
    }

    /// The port of an option. 0 until [`choose_ports`](Self::choose_ports).
    pub(crate) fn port_of(&self, option: &str) -> Option<u16> {
        self.ports.iter().find(|(name, _)| *name == option).map(|(_, port)| *port)
    }

    /// Chooses free ports for all options that take one.
    pub(crate) fn choose_ports(&mut self) {
        for (_, port) in &mut self.ports {
            *port = free_port();
        }
    }

    /// The command that starts the server.
    pub(crate) fn command(&self) -> Command {
        let mut server = Command::new(&self.program);
        server.current_dir(self.dir()).args(self.settings);
        for (option, port) in &self.ports {
            server.args([option, port.to_string().as_str()]);
        }
        server
            .args(["--bind", HOST])
            .args(["--save", "", "--logfile", "log", "--daemonize", "no"])
            .args(&self.arguments)
            .envs(self.environment.iter().cloned())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        server
    }

    /// The log of the server so far.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.dir().join("log")).unwrap_or_default()
    }

    fn write(&self, file: &str, text: &str) {
        fs::write(self.dir().join(file), text).expect("a file");
    }
}

fn owned(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

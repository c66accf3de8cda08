//! Proxies that speak Redis's protocol, in front of a server, for one test: Envoy's `redis_proxy`, and twemproxy.

use std::{
    fs,
    io::{Read, Write},
    net::TcpStream,
    path::Path,
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use tempfile::TempDir;

use crate::{
    STARTING, free_port, prepared, process::Watched, redis_server::RedisServer, temporary_dir,
};

/// How long a proxy waits for the server's reply, in milliseconds: less than `readTimeout`.
const PATIENCE: u64 = 2_000;

/// The same in seconds.
const PATIENCE_S: u64 = PATIENCE / 1_000;

/// A program that `cargo xtask test` prepares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Program {
    /// Envoy, whose listener has the filter `redis_proxy`.
    Envoy,
    /// twemproxy, whose program is called `nutcracker`.
    Twemproxy,
}

/// A proxy that runs until it is dropped.
pub struct RedisProxy {
    port: u16,
    folder: TempDir,
    running: Option<Watched>,
}

impl RedisProxy {
    /// Starts a proxy in front of a server. `password` is the password that the proxy asks of its clients and sends to
    /// the server; empty for none. Where the program was not prepared, says that the test is skipped.
    ///
    /// # Panics
    ///
    /// When it does not answer in time; the message includes its log.
    pub fn start(program: Program, server: &RedisServer, password: &str) -> Option<Self> {
        let port = server.port();
        Self::start_with(program, |proxy, made| match program {
            Program::Envoy => {
                let routes = "catch_all_route: { cluster: locks }";
                proxy.envoy(made, routes, &[("locks", port)], password)
            }
            Program::Twemproxy => proxy.twemproxy(made, port, password),
        })
    }

    /// Starts an Envoy that leads keys with this prefix to a server, and all else to another one, or nowhere. Where the
    /// program was not prepared, says that the test is skipped.
    ///
    /// # Panics
    ///
    /// When it does not answer in time; the message includes its log.
    pub fn start_by_prefix(
        prefix: &str,
        server: &RedisServer,
        others: Option<&RedisServer>,
    ) -> Option<Self> {
        let mut routes = format!(r#"routes: [{{ prefix: "{prefix}", cluster: locks }}]"#);
        let mut clusters = vec![("locks", server.port())];
        if let Some(others) = others {
            routes.push_str(", catch_all_route: { cluster: others }");
            clusters.push(("others", others.port()));
        }
        Self::start_with(Program::Envoy, |proxy, made| proxy.envoy(made, &routes, &clusters, ""))
    }

    /// Starts the program by the command that is made for a port and the folder of the program.
    fn start_with(program: Program, command: impl Fn(&Self, &Path) -> Command) -> Option<Self> {
        let made = match program {
            Program::Envoy => prepared("HOLDFAST_SERVER_ENVOY", "Envoy"),
            Program::Twemproxy => prepared("HOLDFAST_SERVER_TWEMPROXY", "twemproxy"),
        }?;
        let mut proxy = Self { port: 0, folder: temporary_dir(), running: None };
        // Another process may take the free port before the proxy listens on it.
        for _ in 0..5 {
            proxy.port = free_port();
            let command = command(&proxy, &made);
            if proxy.try_run(command) {
                return Some(proxy);
            }
        }
        panic!("{program:?} does not start:\n{}", proxy.log());
    }

    /// The `host:port` to connect to.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// `clusters` are the names of the routes' servers, with their ports.
    fn envoy(
        &self,
        made: &Path,
        routes: &str,
        clusters: &[(&str, u16)],
        password: &str,
    ) -> Command {
        let (ask, give) = match password {
            "" => (String::new(), String::new()),
            word => (
                format!("downstream_auth_passwords: [{{ inline_string: {word} }}]"),
                format!("auth_password: {{ inline_string: {word} }}"),
            ),
        };
        let api = "type.googleapis.com/envoy.extensions.filters.network.redis_proxy.v3";
        let cluster = |(name, server): &(&str, u16)| {
            format!(
                r#"
  - name: {name}
    connect_timeout: {PATIENCE_S}s
    load_assignment:
      cluster_name: {name}
      endpoints:
      - lb_endpoints:
        - endpoint: {{ address: {{ socket_address: {{ address: 127.0.0.1, port_value: {server} }} }} }}
    typed_extension_protocol_options:
      envoy.filters.network.redis_proxy:
        "@type": {api}.RedisProtocolOptions
        {give}"#
            )
        };
        let clusters: String = clusters.iter().map(cluster).collect();
        let config = format!(
            r#"
static_resources:
  listeners:
  - address: {{ socket_address: {{ address: 127.0.0.1, port_value: {port} }} }}
    filter_chains:
    - filters:
      - name: envoy.filters.network.redis_proxy
        typed_config:
          "@type": {api}.RedisProxy
          stat_prefix: locks
          settings: {{ op_timeout: {PATIENCE_S}s }}
          prefix_routes: {{ {routes} }}
          {ask}
  clusters:{clusters}
"#,
            port = self.port,
        );
        fs::write(self.folder.path().join("envoy.yaml"), config).expect("a file");
        let mut command = Command::new(made.join("envoy"));
        command.args(["-c", "envoy.yaml", "--disable-hot-restart", "--concurrency", "2"]);
        command
    }

    fn twemproxy(&self, made: &Path, server: u16, password: &str) -> Command {
        let ask = match password {
            "" => String::new(),
            word => format!("redis_auth: {word}"),
        };
        let config = format!(
            "
locks:
  listen: 127.0.0.1:{port}
  redis: true
  timeout: {PATIENCE}
  hash: fnv1a_64
  distribution: ketama
  auto_eject_hosts: false
  servers:
   - 127.0.0.1:{server}:1
  {ask}
",
            port = self.port,
        );
        fs::write(self.folder.path().join("nutcracker.yml"), config).expect("a file");
        let mut command = Command::new(made.join("nutcracker"));
        // It always listens for clients that want statistics.
        command.args([
            "-c",
            "nutcracker.yml",
            "-o",
            "log",
            "-a",
            "127.0.0.1",
            "-s",
            &free_port().to_string(),
        ]);
        command
    }

    fn try_run(&mut self, mut command: Command) -> bool {
        let log = fs::File::create(self.folder.path().join("log")).expect("a log");
        let out = log.try_clone().expect("a log");
        command.current_dir(self.folder.path()).stdin(Stdio::null()).stdout(out).stderr(log);
        let mut running = Watched::start(command);
        let deadline = Instant::now() + STARTING;
        while Instant::now() < deadline {
            if self.answers() {
                self.running = Some(running);
                return true;
            }
            if running.process_mut().try_wait().expect("its status").is_some() {
                return false;
            }
            thread::sleep(Duration::from_millis(10));
        }
        false
    }

    /// Whether it answers a `PING`, which it does itself.
    fn answers(&self) -> bool {
        let ask = || {
            let mut connection = TcpStream::connect(("127.0.0.1", self.port))?;
            connection.set_read_timeout(Some(STARTING))?;
            connection.write_all(b"*1\r\n$4\r\nPING\r\n")?;
            connection.read_exact(&mut [0; 5])
        };
        ask().is_ok()
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }
}

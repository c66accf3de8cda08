//! How a cluster is started.

use std::time::Duration;

use crate::{
    certificates::Authority,
    redis_options::{HOST, RedisOptions},
};

/// The option with the port of a node's bus.
pub(super) const BUS_PORT: &str = "--cluster-port";

/// How a cluster is started. Passwords are words without spaces and quotes.
#[derive(Clone)]
pub struct ClusterOptions {
    /// How many masters share the slots at first. With fewer than 3, no replica is promoted by itself. Default: 3.
    pub masters: usize,
    /// How many replicas each master has. Default: 1.
    pub replicas: usize,
    /// How long a node must be silent before others find it down. Default: 1 s.
    pub node_timeout: Duration,
    /// Whether nodes refuse all commands while a slot has no node (`cluster-require-full-coverage`). Default: yes.
    pub full_coverage: bool,
    /// The password of the default user of every node. Default: none.
    pub password: Option<String>,
    /// Whether nodes have a port with TLS too, and use TLS between each other: they name those ports to clients
    /// with TLS. Default: no.
    pub tls: bool,
    /// The beginning of the addresses from which nodes come to each other, such as `10.0.0`: traffic between them can
    /// then be distinguished from that of clients. Default: they come from 127.0.0.1 as clients do.
    pub network: Option<String>,
    /// Further arguments of every node, as `redis-server` takes them. Default: none.
    pub arguments: Vec<String>,
}

impl Default for ClusterOptions {
    fn default() -> Self {
        Self {
            masters: 3,
            replicas: 1,
            node_timeout: Duration::from_secs(1),
            full_coverage: true,
            password: None,
            tls: false,
            network: None,
            arguments: Vec::new(),
        }
    }
}

impl ClusterOptions {
    /// The options of the node of this number.
    pub(super) fn node(&self, authority: &Authority, number: usize) -> RedisOptions {
        let mut options = RedisOptions::new()
            // The default is the port plus 10,000, which another process may have, or which is no valid port.
            .port(BUS_PORT)
            .arguments(&["--cluster-enabled", "yes", "--cluster-announce-ip", HOST])
            .arguments(&["--cluster-node-timeout", &self.node_timeout.as_millis().to_string()])
            .arguments(&["--cluster-require-full-coverage", yes(self.full_coverage)])
            // Nodes change their roles only when a test, or the loss of a master, makes them.
            .arguments(&["--cluster-allow-replica-migration", "no"])
            // Else the first replica waits 5 s for others to come.
            .arguments(&["--repl-diskless-sync-delay", "0", "--repl-ping-replica-period", "1"]);
        if let Some(password) = &self.password {
            options = options.password(password).arguments(&["--masterauth", password]);
        }
        if let Some(network) = &self.network {
            // Protected mode takes 127.0.0.1 alone for the machine itself.
            let source = source(network, number);
            options = options.arguments(&["--bind-source-addr", &source, "--protected-mode", "no"]);
        }
        if self.tls {
            options = options.tls_among_servers(authority).arguments(&["--tls-cluster", "yes"]);
        }
        let more: Vec<&str> = self.arguments.iter().map(String::as_str).collect();
        options.arguments(&more)
    }
}

/// The address from which the node of this number comes to others.
pub(super) fn source(network: &str, number: usize) -> String {
    format!("{network}.{}", number + 1)
}

fn yes(yes: bool) -> &'static str {
    if yes { "yes" } else { "no" }
}

//! How a group is started, and the files of settings that follow from it.

use std::time::Duration;

use crate::{
    certificates::Authority,
    redis_options::{HOST, RedisOptions},
};

/// The user of master and replicas as whom the sentinels come.
pub(super) const SENTINELS_USER: &str = "the-sentinels";

/// The user of master and replicas as whom replicas come.
pub(super) const REPLICAS_USER: &str = "the-replicas";

/// The password of both. They are apart from the users of clients, so a node can be cut off from them alone.
const USERS_PASSWORD: &str = "group-word";

/// The name of [`HOST`].
const NAME: &str = "localhost";

/// How a group is started. Names and passwords are words without spaces and quotes.
#[derive(Clone)]
pub struct SentinelOptions {
    /// The name of the master, as clients ask for it. Default: `mymaster`.
    pub name: String,
    /// How many replicas the master has at first. Default: 2.
    pub replicas: usize,
    /// How many sentinels there are at first. Default: 3.
    pub sentinels: usize,
    /// How many sentinels must find the master down before they promote another node. Default: 2.
    pub quorum: usize,
    /// How long a node must be silent before a sentinel finds it down. Default: 1 s.
    pub down_after: Duration,
    /// The sentinels' `failover-timeout`: a failover that failed is tried again after twice this time. A node
    /// reports its new role within a second, so less than 2 s fails. Default: 3 s.
    pub failover_timeout: Duration,
    /// The password of the default user of master and replicas. Default: none.
    pub password: Option<String>,
    /// The user who may ask the sentinels, in place of the default user; only with a password. Default: none.
    pub sentinel_user: Option<String>,
    /// The password of that user, or of the default user of the sentinels. Default: none.
    pub sentinel_password: Option<String>,
    /// Whether everything has a port with TLS too, and nodes and sentinels use TLS between each other: the
    /// sentinels then name the ports with TLS. Default: no.
    pub tls: bool,
    /// How many replicas must have answered in the last 2 s, or else the master refuses writes
    /// (`min-replicas-to-write`, `min-replicas-max-lag`). Default: 0.
    pub min_replicas: usize,
    /// Whether master, replicas and sentinels call each other `localhost`, and the sentinels use that name. Default:
    /// no.
    pub host_names: bool,
    /// Further lines of the settings of master and replicas. Default: none.
    pub settings: Vec<String>,
}

impl Default for SentinelOptions {
    fn default() -> Self {
        Self {
            name: "mymaster".to_owned(),
            replicas: 2,
            sentinels: 3,
            quorum: 2,
            down_after: Duration::from_secs(1),
            failover_timeout: Duration::from_secs(3),
            password: None,
            sentinel_user: None,
            sentinel_password: None,
            tls: false,
            min_replicas: 0,
            host_names: false,
            settings: Vec::new(),
        }
    }
}

impl SentinelOptions {
    /// The options of a server that may be master or replica.
    pub(super) fn node(&self, authority: &Authority) -> RedisOptions {
        let mut lines = vec![
            format!("user {SENTINELS_USER} on >{USERS_PASSWORD} ~* &* +@all"),
            format!("user {REPLICAS_USER} on >{USERS_PASSWORD} ~* &* +@all"),
            format!("masteruser {REPLICAS_USER}"),
            format!("masterauth {USERS_PASSWORD}"),
            // Else the first replica waits 5 s for others to come.
            "repl-diskless-sync-delay 0".to_owned(),
            "repl-ping-replica-period 1".to_owned(),
            format!("min-replicas-to-write {}", self.min_replicas),
            "min-replicas-max-lag 2".to_owned(),
        ];
        lines.extend(self.password.iter().map(|password| format!("requirepass {password}")));
        if self.host_names {
            lines.push(format!("replica-announce-ip {NAME}"));
        }
        lines.extend(self.settings.iter().cloned());
        let login: Vec<&str> = self.password.iter().map(String::as_str).collect();
        self.server(authority, lines, &login)
    }

    /// The options of a sentinel that watches the master at a port.
    pub(super) fn sentinel(&self, authority: &Authority, master: u16) -> RedisOptions {
        let Self { name, quorum, .. } = self;
        let mut lines = match self.host_names {
            true => vec![
                // Before the names that are to be resolved.
                "sentinel resolve-hostnames yes".to_owned(),
                "sentinel announce-hostnames yes".to_owned(),
                format!("sentinel announce-ip {NAME}"),
            ],
            false => Vec::new(),
        };
        lines.extend([
            format!("sentinel monitor {name} {} {master} {quorum}", self.host()),
            format!("sentinel down-after-milliseconds {name} {}", self.down_after.as_millis()),
            format!("sentinel failover-timeout {name} {}", self.failover_timeout.as_millis()),
            format!("sentinel parallel-syncs {name} {}", self.replicas.max(1)),
            format!("sentinel auth-user {name} {SENTINELS_USER}"),
            format!("sentinel auth-pass {name} {USERS_PASSWORD}"),
        ]);
        let mut login = Vec::new();
        if let Some(password) = &self.sentinel_password {
            lines.push(format!("sentinel sentinel-pass {password}"));
            if let Some(user) = &self.sentinel_user {
                lines.push(format!("sentinel sentinel-user {user}"));
                lines.push(format!("user {user} on >{password} ~* &* +@all"));
                lines.push("user default off".to_owned());
                login.push(user.as_str());
            } else {
                lines.push(format!("requirepass {password}"));
            }
            login.push(password);
        }
        self.server(authority, lines, &login).arguments(&["--sentinel"])
    }

    /// The host by which master, replicas and sentinels name each other.
    pub(super) fn host(&self) -> &'static str {
        if self.host_names { NAME } else { HOST }
    }

    fn server(&self, authority: &Authority, lines: Vec<String>, login: &[&str]) -> RedisOptions {
        let options = RedisOptions::new().settings(&(lines.join("\n") + "\n")).login(login);
        match self.tls {
            true => options.tls_among_servers(authority),
            false => options,
        }
    }
}

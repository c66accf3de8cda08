//! Which servers keep the locks.

use alloc::{
    format,
    string::{String, ToString},
    vec::Vec,
};
use core::{fmt, time::Duration};

use super::{
    error::SettingError,
    names, read,
    source::{Found, Source},
};
use crate::address::{self, Address, DEFAULT_PORT};

/// The servers of a store.
#[derive(Clone, PartialEq, Eq)]
pub enum Servers {
    /// One server.
    One(Address),
    /// The master that Redis Sentinel names.
    Sentinel(Sentinel),
    /// A Redis Cluster, with some of its nodes.
    Cluster(Vec<Address>),
    /// Independent servers. A majority of them grants a lock.
    Quorum(Quorum),
}

/// The servers of a quorum.
#[derive(Clone, PartialEq, Eq)]
pub struct Quorum {
    /// The servers: an odd number, at least three, all different.
    pub nodes: Vec<Address>,
    /// The longest time to live of a lock.
    pub longest_ttl: Duration,
}

impl Quorum {
    /// A quorum of these servers, with the default for the longest time to live.
    pub fn new(nodes: Vec<Address>) -> Self {
        Self { nodes, longest_ttl: Duration::from_secs(60) }
    }
}

/// How to find the master that Redis Sentinel looks after.
#[derive(Clone, PartialEq, Eq)]
pub struct Sentinel {
    /// The master's name.
    pub master: String,
    /// Sentinels that look after it, at least one.
    pub sentinels: Vec<Address>,
    /// The user that a connection to a sentinel logs in as. Has no effect without a password.
    pub username: Option<String>,
    /// The password of a connection to a sentinel.
    pub password: Option<String>,
}

/// How the servers of a store belong together.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Node,
    Sentinel,
    Cluster,
    Quorum,
}

impl Servers {
    /// Reads the settings that say where the servers are, and how they belong together.
    ///
    /// # Errors
    ///
    /// A [`SettingError`] names the first setting that is missing, cannot be read or contradicts another.
    pub fn read(source: &impl Source) -> Result<Self, SettingError> {
        match Kind::read(source)? {
            Kind::Node => address(source).map(Self::One),
            Kind::Sentinel => Ok(Self::Sentinel(Sentinel {
                sentinels: addresses(source)?.1,
                master: master(source)?,
                username: read::text(source, names::SENTINEL_USERNAME),
                password: read::text(source, names::SENTINEL_PASSWORD),
            })),
            Kind::Cluster => match source.find(names::REDIS_DB).filter(|db| db.value != "0") {
                Some(db) => Err(db.error("is not 0, the only database of a Redis Cluster")),
                None => addresses(source).map(|(_, nodes)| Self::Cluster(nodes)),
            },
            Kind::Quorum => {
                let (host, nodes) = addresses(source)?;
                unlike(&nodes).map_err(|problem| host.error(problem))?;
                let default = Quorum::new(nodes);
                let setting = names::QUORUM_MAX_TTL;
                let longest_ttl = read::limit(source, setting, Some(default.longest_ttl))?;
                let longest_ttl = longest_ttl.ok_or_else(|| SettingError {
                    setting: source.name(setting),
                    problem:
                        "must have a limit: a server that has lost its locks stays out for as long"
                            .into(),
                })?;
                Ok(Self::Quorum(Quorum { longest_ttl, ..default }))
            }
        }
    }

    /// Whether the settings ask for one server.
    pub(super) fn is_one(source: &impl Source) -> bool {
        matches!(Kind::read(source), Ok(Kind::Node))
    }

    /// Whether the settings ask for Redis Sentinel, or are refused.
    pub(super) fn may_have_sentinels(source: &impl Source) -> bool {
        matches!(Kind::read(source), Ok(Kind::Sentinel) | Err(_))
    }

    /// Reads the address for a client that knows only one server.
    ///
    /// # Errors
    ///
    /// As for [`read`](Self::read), and if the settings ask for more than one server.
    pub fn read_one(source: &impl Source) -> Result<Address, SettingError> {
        if let Some(replicas) = source.find(names::MIN_REPLICAS).filter(|min| min.value != "0") {
            return Err(replicas.error("asks for replicas, which this component does not support"));
        }
        let what = match Kind::read(source)? {
            Kind::Node => return address(source),
            Kind::Sentinel => "Redis Sentinel",
            Kind::Cluster => "Redis Cluster",
            Kind::Quorum => "a quorum",
        };
        let asking = [names::FAILOVER, names::REDIS_TYPE].map(|setting| source.find(setting));
        let problem = format!("asks for {what}, which this component does not support");
        let setting = asking.into_iter().flatten().next();
        Err(SettingError {
            setting: setting.map(|found| found.name.into()).unwrap_or_default(),
            problem,
        })
    }
}

/// Checks the servers of a quorum.
///
/// # Errors
///
/// The problem, worded to follow the name of the setting.
pub fn unlike(nodes: &[Address]) -> Result<(), String> {
    if nodes.len() < 3 || nodes.len().is_multiple_of(2) {
        return Err(format!(
            "has {} servers: a quorum needs an odd number, at least 3",
            nodes.len()
        ));
    }
    let same = |one: &Address, other: &Address| {
        one.port == other.port && one.host.eq_ignore_ascii_case(&other.host)
    };
    let twice = |(index, node): &(usize, &Address)| nodes[..*index].iter().any(|it| same(it, node));
    match nodes.iter().enumerate().find(twice) {
        Some((_, twice)) => Err(format!("has {twice} twice")),
        None => Ok(()),
    }
}

impl Kind {
    fn read(source: &impl Source) -> Result<Self, SettingError> {
        let kind = match source.find(names::REDIS_TYPE) {
            None => Self::Node,
            Some(found) => Self::named(found.value)
                .ok_or_else(|| found.error("is not node, sentinel, cluster or quorum"))?,
        };
        let failover = read::flag(source, names::FAILOVER)?;
        if kind != Self::Quorum
            && let Some(found) = source.find(names::QUORUM_MAX_TTL)
        {
            let kind = source.name(names::REDIS_TYPE);
            return Err(found.error(format!("needs {kind} to be quorum")));
        }
        match (kind, failover) {
            (Self::Node | Self::Sentinel, Some(_)) | (Self::Sentinel, None) => Ok(Self::Sentinel),
            (Self::Cluster | Self::Quorum, Some(found)) => {
                Err(found.error(format!("differs from {}", source.name(names::REDIS_TYPE))))
            }
            // A master's name means nothing here, as for daprd.
            (Self::Node, None) => Ok(Self::Node),
            (kind, None) => match source.find(names::SENTINEL_MASTER_NAME) {
                Some(found) => {
                    let of_servers = source.name(names::REDIS_TYPE);
                    Err(found.error(format!("needs {of_servers} to be sentinel")))
                }
                None => Ok(kind),
            },
        }
    }

    fn named(name: &str) -> Option<Self> {
        let kinds = [
            ("node", Self::Node),
            ("sentinel", Self::Sentinel),
            ("cluster", Self::Cluster),
            ("quorum", Self::Quorum),
        ];
        kinds.into_iter().find_map(|(kind, of)| name.eq_ignore_ascii_case(kind).then_some(of))
    }
}

fn master<S: Source>(source: &S) -> Result<String, SettingError> {
    read::text(source, names::SENTINEL_MASTER_NAME).ok_or_else(|| SettingError {
        setting: source.name(names::SENTINEL_MASTER_NAME),
        problem: S::MISSING.into(),
    })
}

const IS_A_URL: &str = "is a URL: write only the host:port of a Redis server";

const IS_A_CONNECTION_STRING: &str =
    "is a connection string: write only the host:port of a Redis server";

const IS_A_LIST: &str =
    "is a list: that needs failover (for Redis Sentinel), or redisType cluster or quorum";

fn host<S: Source>(source: &S) -> Result<Found<'_>, SettingError> {
    let Some(host) = source.find(names::REDIS_HOST) else {
        let setting = source.name(names::REDIS_HOST);
        return Err(SettingError { setting, problem: S::MISSING.into() });
    };
    if host.value.contains("://") {
        return Err(host.error(IS_A_URL));
    }
    if host.value.contains(',') && host.value.contains('=') {
        return Err(host.error(IS_A_CONNECTION_STRING));
    }
    Ok(host)
}

/// The only server.
fn address(source: &impl Source) -> Result<Address, SettingError> {
    let host = host(source)?;
    if host.value.contains(',') {
        return Err(host.error(IS_A_LIST));
    }
    one(source, &host, host.value)
}

/// All servers of a list, and the setting that lists them.
fn addresses<S: Source>(source: &S) -> Result<(Found<'_>, Vec<Address>), SettingError> {
    let host = host(source)?;
    let listed = host.value.split(',').map(|written| one(source, &host, written.trim()));
    let addresses = listed.collect::<Result<_, _>>()?;
    Ok((host, addresses))
}

fn one(source: &impl Source, host: &Found<'_>, written: &str) -> Result<Address, SettingError> {
    let (name, own_port) = address::split(written).map_err(|problem| host.error(problem))?;
    let Some(port) = source.find(names::REDIS_PORT) else {
        return Ok(Address { host: name, port: own_port.unwrap_or(DEFAULT_PORT) });
    };
    let other = address::parse_port(port.value).map_err(|problem| port.error(problem))?;
    if own_port.is_some_and(|own| own != other) {
        return Err(port.error(format!("differs from the port in {}", host.name)));
    }
    Ok(Address { host: name, port: other })
}

/// Writes the servers in one line: `host:port`, `mymaster at host:port,host:port`.
impl fmt::Display for Servers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::One(address) => address.fmt(f),
            Self::Sentinel(sentinel) => sentinel.fmt(f),
            Self::Cluster(nodes) | Self::Quorum(Quorum { nodes, .. }) => f.write_str(&list(nodes)),
        }
    }
}

/// Writes `mymaster at host:port,host:port`.
impl fmt::Display for Sentinel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at {}", self.master, list(&self.sentinels))
    }
}

fn list(addresses: &[Address]) -> String {
    addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
}

/// Does not show the password.
impl fmt::Debug for Servers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

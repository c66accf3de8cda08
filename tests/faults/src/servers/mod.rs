//! The servers that have the locks of a run.
//!
//! | module | what lives there |
//! |---|---|
//! | `one` | one server |
//! | `sentinel` | a master with a replica, and sentinels |
//! | [`cluster`] | a Redis Cluster |
//! | [`quorum`] | five servers, of which a majority decides |

pub mod cluster;
mod one;
pub mod quorum;
mod sentinel;

use anyhow::{Context, Result};
use holdfast_tests::{
    clock::Clock, redis_cluster::RedisCluster, redis_server::RedisServer,
    sentinel_group::SentinelGroup,
};
use tokio::runtime::Handle;

use self::quorum::Quorum;
use crate::view::View;

/// Which servers a fault acts on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// One server, with more arguments.
    One(&'static [&'static str]),
    /// A master with a replica, and three sentinels.
    Sentinel(Guard),
    /// A Redis Cluster of three masters with a replica each. All keys are in one slot.
    Cluster(Guard),
    /// Five servers that know nothing of each other, and forget their locks in a restart.
    Quorum,
}

/// Whether a lock counts only once the replica has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Guard {
    /// It counts as soon as the master has it.
    None,
    /// `minReplicas` is 1, and a master has one replica.
    Replica,
}

/// The servers of a run.
pub enum Servers {
    /// One server.
    One(Box<RedisServer>),
    /// A master, its replica and their sentinels.
    Sentinel(Box<SentinelGroup>, Guard),
    /// A Redis Cluster.
    Cluster(Box<RedisCluster>, Guard),
    /// A quorum.
    Quorum(Quorum),
}

impl Servers {
    /// Starts them. A single server gets more arguments, and reads this clock if there is one. The clocks of a quorum's
    /// servers are `apart` or not. The nodes of a Cluster have a `network` of their own, or not.
    pub fn start(
        layout: Layout,
        more: &[&str],
        clock: Option<&Clock>,
        apart: bool,
        network: Option<String>,
        runtime: &Handle,
    ) -> Result<Self> {
        Ok(match layout {
            Layout::One(arguments) => {
                Self::One(Box::new(one::start(&[arguments, more].concat(), clock)))
            }
            Layout::Sentinel(guard) => {
                Self::Sentinel(Box::new(runtime.block_on(sentinel::start())), guard)
            }
            Layout::Cluster(guard) => {
                Self::Cluster(Box::new(runtime.block_on(cluster::start(network))), guard)
            }
            Layout::Quorum => Self::Quorum(Quorum::start(apart)?),
        })
    }

    /// The workers' setting `redisHost`.
    pub fn hosts(&self) -> String {
        match self {
            Self::One(server) => server.address(),
            Self::Sentinel(group, _) => group.hosts(),
            Self::Cluster(cluster, _) => cluster.hosts(),
            Self::Quorum(quorum) => quorum.hosts(),
        }
    }

    /// Their other settings.
    pub fn settings(&self) -> Vec<String> {
        match self {
            Self::One(_) => Vec::new(),
            Self::Sentinel(group, guard) => [sentinel::settings(group), guard.settings()].concat(),
            Self::Cluster(_, guard) => [cluster::settings(), guard.settings()].concat(),
            Self::Quorum(_) => quorum::settings(),
        }
    }

    /// The view of the servers.
    pub fn view(&self) -> Box<dyn View> {
        match self {
            Self::One(server) => Box::new(one::view(server)),
            Self::Sentinel(group, _) => Box::new(sentinel::view(group)),
            Self::Cluster(cluster, _) => Box::new(cluster::view(cluster)),
            Self::Quorum(quorum) => Box::new(quorum.view()),
        }
    }

    /// The only server.
    pub fn one(&self) -> Result<&RedisServer> {
        match self {
            Self::One(server) => Some(&**server),
            _ => None,
        }
        .context("this fault has several servers")
    }

    /// The only server, to be changed.
    pub fn one_mut(&mut self) -> Result<&mut RedisServer> {
        match self {
            Self::One(server) => Some(&mut **server),
            _ => None,
        }
        .context("this fault has several servers")
    }

    /// The master, its replica and their sentinels.
    pub fn sentinel_mut(&mut self) -> Result<&mut SentinelGroup> {
        match self {
            Self::Sentinel(group, _) => Some(&mut **group),
            _ => None,
        }
        .context("this fault has no sentinels")
    }

    /// The Redis Cluster.
    pub fn cluster_mut(&mut self) -> Result<&mut RedisCluster> {
        match self {
            Self::Cluster(cluster, _) => Some(&mut **cluster),
            _ => None,
        }
        .context("this fault has no cluster")
    }

    /// The quorum.
    pub fn quorum_mut(&mut self) -> Result<&mut Quorum> {
        match self {
            Self::Quorum(quorum) => Some(quorum),
            _ => None,
        }
        .context("this fault has no quorum")
    }
}

impl Guard {
    fn settings(self) -> Vec<String> {
        match self {
            Self::None => Vec::new(),
            Self::Replica => vec!["minReplicas=1".to_owned()],
        }
    }
}

//! A quorum of five servers that know nothing of each other, and forget their locks in a restart.

use std::{
    thread,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use anyhow::{Context, Result, bail};
use holdfast_tests::{clock::Clock, redis_server::RedisServer};

use crate::{
    task::{LONGEST_TTL, key},
    view::quorum::QuorumView,
};

/// How many servers there are.
pub const NODES: usize = 5;

/// How many milliseconds the clock of each is ahead, if they are apart.
const AHEAD: [i64; NODES] = [-1_000, 500, 0, 1_000, -500];

/// The least distance of such a clock from the driver's.
const STRANGE: Duration = Duration::from_millis(400);

/// For how many seconds a server runs, as it counts them, before it surely takes part.
const TAKES_PART: u64 = LONGEST_TTL / 1_000 + 1;

/// How long to wait for that.
const LIMIT: Duration = Duration::from_secs(30);

/// The servers.
pub struct Quorum {
    /// Each of them.
    pub nodes: Vec<RedisServer>,
    /// Their clocks, if they are apart.
    _clocks: Vec<Clock>,
}

impl Quorum {
    /// Starts them, with clocks that are apart or not, and waits until they take part.
    pub fn start(apart: bool) -> Result<Self> {
        let mut clocks = Vec::new();
        for ahead in AHEAD.into_iter().filter(|_| apart) {
            let mut clock = Clock::make().context("there is no libfaketime")?;
            clock.step(ahead);
            clocks.push(clock);
        }
        let start = |node| match clocks.get(node) {
            Some(clock) => RedisServer::start_by(clock, &[]),
            None => RedisServer::start(),
        };
        let nodes = (0..NODES).map(start).collect();
        let quorum = Self { nodes, _clocks: clocks };
        (0..NODES).try_for_each(|node| quorum.takes_part(node))?;
        Ok(quorum)
    }

    /// The workers' setting `redisHost`.
    pub fn hosts(&self) -> String {
        self.nodes.iter().map(RedisServer::address).collect::<Vec<_>>().join(",")
    }

    /// The view of the servers.
    pub fn view(&self) -> QuorumView {
        QuorumView::new(self.ports())
    }

    /// Their ports.
    pub fn ports(&self) -> Vec<u16> {
        self.nodes.iter().map(RedisServer::port).collect()
    }

    /// Waits until a server that has started takes part.
    pub fn takes_part(&self, node: usize) -> Result<()> {
        let deadline = Instant::now() + LIMIT;
        while self.uptime(node)? < TAKES_PART {
            if Instant::now() > deadline {
                bail!("server {node} does not take part within {LIMIT:?}");
            }
            thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    fn uptime(&self, node: usize) -> Result<u64> {
        let info: String = self.nodes[node].run(&["INFO", "server"]);
        let line = info.lines().find_map(|line| line.strip_prefix("uptime_in_seconds:"));
        line.context("no uptime")?.trim().parse().context("an uptime")
    }

    /// How many of so many keys have one owner at all of these servers, and not at `others`.
    pub fn held_by(&self, servers: &[usize], others: &[usize], keys: usize) -> u64 {
        let names: Vec<_> = (0..keys).map(key).collect();
        let words: Vec<_> = ["MGET"].into_iter().chain(names.iter().map(String::as_str)).collect();
        let at = |node: &usize| self.nodes[*node].run::<Vec<Option<String>>>(&words);
        let have = || servers.iter().map(at).collect::<Vec<_>>();
        // A lock that is being taken is at these servers only for a moment, and so is one that is being released.
        let before = have();
        let lack: Vec<_> = others.iter().map(at).collect();
        let after = have();
        let is_held = |key: &usize| {
            let owner = before.first().and_then(|owners| owners[*key].as_ref());
            let all = before.iter().chain(&after).all(|owners| owners[*key].as_ref() == owner);
            owner.is_some() && all && lack.iter().all(|owners| owners[*key].as_ref() != owner)
        };
        (0..keys).filter(is_held).count() as u64
    }

    /// How many servers have a clock that is not the driver's.
    pub fn strange_clocks(&self) -> u64 {
        let differs = |node: &&RedisServer| {
            let (seconds, micros): (u64, u64) = node.run(&["TIME"]);
            let theirs = Duration::from_secs(seconds) + Duration::from_micros(micros);
            let ours = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            ours.abs_diff(theirs) > STRANGE
        };
        self.nodes.iter().filter(differs).count() as u64
    }
}

/// The settings of the workers.
pub fn settings() -> Vec<String> {
    vec!["redisType=quorum".to_owned(), format!("quorumMaxTtl={LONGEST_TTL}ms")]
}

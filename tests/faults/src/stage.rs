//! The stage of a fault: servers, the road to them, and the workers.

use std::{
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use holdfast_tests::{
    clock::Clock, proxy::Proxy, redis_cluster::RedisCluster, redis_server::RedisServer,
    sentinel_group::SentinelGroup,
};
use redis::{Client, Connection, FromRedisValue};
use tokio::runtime::Handle;

use crate::{
    crew::{Crew, Plan},
    history::{Broken, now},
    namespace::Namespace,
    record::Record,
    servers::{Layout, Servers, quorum::Quorum},
    sides::Sides,
    task::key,
    wires::Wires,
};

/// How long the driver waits for the server or the workers.
const LIMIT: Duration = Duration::from_secs(30);

/// The way from the workers to the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Road {
    /// A connection on 127.0.0.1.
    Direct,
    /// Through a proxy in the driver. Every third worker has a direct connection, and quickly takes a lock that has
    /// expired.
    Proxy,
    /// From a network namespace of the workers' own.
    Namespace,
    /// A connection on 127.0.0.1, in a network namespace where servers can be cut off from each other.
    Wires,
    /// Through a proxy for each server of a quorum, and another one for every third worker.
    Sides,
}

/// The processes whose wall clock can be set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wall {
    /// No clock can be set.
    Nobody,
    /// The server's.
    Server,
    /// The workers'.
    Workers,
    /// The clocks of a quorum's servers, which are apart.
    Apart,
}

impl Wall {
    /// The clock to set, for servers or workers that are started with it.
    fn clock(self) -> Result<Option<Clock>> {
        match self {
            Self::Nobody | Self::Apart => Ok(None),
            Self::Server | Self::Workers => {
                Clock::make().context("there is no libfaketime").map(Some)
            }
        }
    }
}

/// Servers with workers.
pub struct Stage {
    /// The servers.
    pub servers: Servers,
    /// The proxy on the road, if there is one.
    pub proxy: Option<Proxy>,
    /// The proxies on the roads to several servers.
    pub sides: Option<Sides>,
    /// The workers' namespace, if they have one.
    pub namespace: Option<Namespace>,
    /// The wires between servers, if they can be cut.
    pub wires: Option<Wires>,
    /// The workers.
    pub crew: Crew,
    /// The clock that can be set, if there is one.
    pub clock: Option<Clock>,
    /// The record of the run.
    pub record: Arc<Record>,
    /// How many keys the workers use.
    pub keys: usize,
    /// The choices of the fault.
    pub random: fastrand::Rng,
    /// The runtime that waits for several servers.
    pub runtime: Handle,
}

/// The numbers of workers, tasks and keys.
#[derive(Clone, Copy)]
pub struct Size {
    /// Processes.
    pub workers: u32,
    /// Tasks in each.
    pub tasks: u32,
    /// Keys.
    pub keys: usize,
}

impl Stage {
    /// Starts servers, and workers that reach them by `road`, which is direct or by sides to more than one.
    pub fn set(
        road: Road,
        wall: Wall,
        layout: Layout,
        size: Size,
        seed: u64,
        runtime: &Handle,
    ) -> Result<Self> {
        let namespace = (road == Road::Namespace).then(Namespace::make).transpose()?;
        let near = namespace.as_ref().map(|namespace| namespace.near());
        let mut more = Vec::new();
        if let Some(near) = &near {
            more.extend(["--bind", "127.0.0.1", near, "--protected-mode", "no"]);
        }
        let clock = wall.clock()?;
        let read = clock.as_ref().filter(|_| wall == Wall::Server);
        let wires = (road == Road::Wires).then(Wires::make).transpose()?;
        let network = wires.as_ref().map(Wires::network);
        let apart = wall == Wall::Apart;
        let mut servers = Servers::start(layout, &more, read, apart, network, runtime)?;
        let proxy = match road {
            Road::Proxy => Some(runtime.block_on(Proxy::to(servers.one()?.port()))),
            _ => None,
        };
        let sides = match road {
            Road::Sides => Some(runtime.block_on(Sides::to(&servers.quorum_mut()?.ports()))),
            _ => None,
        };
        let address = match (&near, &proxy, &sides) {
            (Some(near), ..) => format!("{near}:{}", servers.one()?.port()),
            (_, Some(proxy), _) => proxy.address(),
            (.., Some(sides)) => sides.hosts(0),
            (None, None, None) => servers.hosts(),
        };
        let third = match (&proxy, &sides) {
            (Some(_), _) => servers.hosts(),
            (_, Some(sides)) => sides.hosts(1),
            (None, None) => address.clone(),
        };
        let launcher = namespace.as_ref().map(Namespace::launcher).unwrap_or_default();
        let Size { workers, tasks, keys } = size;
        let record = Arc::new(Record::new());
        let environment = match (&clock, wall) {
            (Some(clock), Wall::Workers) => clock.environment(),
            _ => Vec::new(),
        };
        let settings = servers.settings();
        let plan =
            Plan { launcher, environment, address, third, settings, workers, tasks, keys, seed };
        let crew = Crew::start(plan, record.clone())?;
        let (random, runtime) = (fastrand::Rng::with_seed(seed), runtime.clone());
        Ok(Self {
            servers,
            proxy,
            sides,
            namespace,
            wires,
            crew,
            clock,
            record,
            keys,
            random,
            runtime,
        })
    }

    /// The only server.
    pub fn server(&mut self) -> Result<&mut RedisServer> {
        self.servers.one_mut()
    }

    /// The master, its replica and their sentinels.
    pub fn sentinel(&mut self) -> Result<&mut SentinelGroup> {
        self.servers.sentinel_mut()
    }

    /// The Redis Cluster.
    pub fn cluster(&mut self) -> Result<&mut RedisCluster> {
        self.servers.cluster_mut()
    }

    /// The quorum.
    pub fn quorum(&mut self) -> Result<&mut Quorum> {
        self.servers.quorum_mut()
    }

    /// The roads to a quorum.
    pub fn sides(&self) -> Result<&Sides> {
        self.sides.as_ref().context("this fault has one road")
    }

    /// The wires between the servers.
    pub fn wires(&self) -> Result<&Wires> {
        self.wires.as_ref().context("the servers of this fault cannot be cut off")
    }

    /// The proxy.
    pub fn proxy(&self) -> Result<&Proxy> {
        self.proxy.as_ref().context("this fault has no proxy")
    }

    /// Sets the server's clock forward by so many milliseconds; back, if they are less than 0.
    pub fn step_server(&mut self, milliseconds: i64) -> Result<()> {
        self.step(milliseconds, Broken::ServerClock(milliseconds))
    }

    /// Sets the workers' clocks forward by so many milliseconds; back, if they are less than 0.
    pub fn step_workers(&mut self, milliseconds: i64) -> Result<()> {
        self.step(milliseconds, Broken::WorkerClocks)
    }

    fn step(&mut self, milliseconds: i64, kind: Broken) -> Result<()> {
        let start = now();
        self.clock.as_mut().context("this fault has no clock")?.step(milliseconds);
        self.record.broken(kind, start);
        Ok(())
    }

    /// Waits for a random time in this range of milliseconds.
    pub fn wait(&mut self, milliseconds: std::ops::RangeInclusive<u64>) {
        thread::sleep(self.some(milliseconds));
    }

    /// A random length of time in this range of milliseconds.
    pub fn some(&mut self, milliseconds: std::ops::RangeInclusive<u64>) -> Duration {
        Duration::from_millis(self.random.u64(milliseconds))
    }

    /// One of the workers.
    pub fn someone(&mut self) -> usize {
        self.random.usize(..self.crew.size())
    }

    /// How many locks there are. Waits until there is one.
    pub fn locks(&self) -> Result<u64> {
        let mut admin = self.admin()?;
        let keys: Vec<_> = (0..self.keys).map(key).collect();
        let words: Vec<_> = ["EXISTS"].into_iter().chain(keys.iter().map(String::as_str)).collect();
        let deadline = Instant::now() + LIMIT;
        loop {
            let locks = admin.run(&words)?;
            if locks > 0 || Instant::now() > deadline {
                return Ok(locks);
            }
            thread::sleep(Duration::from_millis(1));
        }
    }

    /// A connection to the server that stays logged in while the server refuses others.
    pub fn admin(&self) -> Result<Admin> {
        let client = Client::open(format!("redis://{}/", self.servers.one()?.address()))?;
        let connection = client.get_connection_with_timeout(LIMIT)?;
        connection.set_read_timeout(Some(LIMIT))?;
        Ok(Admin(connection))
    }
}

/// A connection of the driver.
pub struct Admin(Connection);

impl Admin {
    /// Runs a command.
    pub fn run<T: FromRedisValue>(&mut self, words: &[&str]) -> Result<T> {
        let answer = redis::cmd(words[0]).arg(&words[1..]).query(&mut self.0);
        answer.with_context(|| format!("{words:?}"))
    }

    /// The number in the line `name:...number` of a section of INFO; 0 if there is none.
    pub fn figure(&mut self, section: &str, name: &str) -> Result<u64> {
        let info: String = self.run(&["INFO", section])?;
        let line = info.lines().find_map(|line| line.strip_prefix(name));
        Ok(line.and_then(|rest| rest.trim().parse().ok()).unwrap_or_default())
    }

    /// Closes the connections of all other clients, and says how many there were.
    pub fn kill_clients(&mut self) -> Result<u64> {
        self.run(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"])
    }
}

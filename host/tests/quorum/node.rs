//! A node of a quorum: a real store in memory, whose calls are delayed, lost or refused as a test says.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, SystemTime},
};

use futures_util::{FutureExt, future::BoxFuture};
use holdfast::store::{
    Acquired, Extended, Failure, Grant, Holding, KeyPage, Released, Store, Watched,
    memory::MemoryStore,
    quorum::{Node, QuorumSettings, QuorumStore},
};
use holdfast_tests::eventually;
use tokio::{sync::Semaphore, time::sleep};

/// The time to live in tests that need only one. Each node is waited for half a second.
pub const TTL: Duration = Duration::from_secs(20);

/// Longer than any work that callers leave behind.
pub const QUIET: Duration = Duration::from_secs(70);

/// The behaviour of a node on an acquire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    /// Carries it out.
    Work,
    /// Does nothing, and reports that.
    Refuse,
    /// Fails so that nobody knows whether it was carried out. It was, if `set`.
    Lose { set: bool },
    /// Never answers. It was carried out, if `set`, and is given back when the caller has left.
    Hang { set: bool },
}

/// The time that a command takes on its way.
#[derive(Clone, Copy, Debug)]
pub enum Way {
    /// This long to the node, and no time back.
    To(Duration),
    /// This long in each direction.
    Each(Duration),
    /// Up to five milliseconds in each direction, so that commands overtake each other.
    Any,
}

impl Way {
    async fn to(self) {
        match self {
            Self::To(time) | Self::Each(time) => sleep(time).await,
            Self::Any => sleep(Duration::from_micros(fastrand::u64(0..5_000))).await,
        }
    }

    async fn back(self) {
        if !matches!(self, Self::To(_)) {
            self.to().await;
        }
    }
}

/// How a node behaves.
#[derive(Clone, Copy, Debug)]
pub struct Manner {
    pub act: Act,
    /// The time that acquires, releases and inspections take on their way.
    pub way: Way,
    /// Whether answers to acquires wait until [`FaultyNode::let_through`].
    pub waits: bool,
    /// Whether a release is carried out and its reply is lost.
    pub loses_releases: bool,
    /// Whether everything but acquires fails.
    pub down: bool,
    /// Whether it can note a fencing token.
    pub raises: bool,
    /// The validity of a grant that the node reports, in milliseconds.
    pub valid_for: Option<u64>,
}

/// A node.
pub struct FaultyNode {
    pub memory: Arc<MemoryStore>,
    manner: Mutex<Manner>,
    calls: Mutex<Vec<&'static str>>,
    permits: Semaphore,
    closed: AtomicBool,
}

/// Everything works at once.
pub const WORKS: Manner = Manner {
    act: Act::Work,
    way: Way::To(Duration::ZERO),
    waits: false,
    loses_releases: false,
    down: false,
    raises: true,
    valid_for: None,
};

/// Nothing works.
pub const DOWN: Manner = Manner { act: Act::Refuse, down: true, ..WORKS };

impl FaultyNode {
    pub fn new(manner: Manner) -> Arc<Self> {
        Self::over(Arc::new(MemoryStore::new()), manner)
    }

    /// A node that others may reach too, with manners of their own.
    pub fn over(memory: Arc<MemoryStore>, manner: Manner) -> Arc<Self> {
        Arc::new(Self {
            memory,
            manner: Mutex::new(manner),
            calls: Mutex::default(),
            permits: Semaphore::new(0),
            closed: AtomicBool::new(false),
        })
    }

    pub fn set(&self, manner: Manner) {
        *lock(&self.manner) = manner;
    }

    pub fn let_through(&self) {
        self.permits.add_permits(1);
    }

    /// How often an operation was called.
    pub fn calls(&self, operation: &str) -> usize {
        lock(&self.calls).iter().filter(|call| **call == operation).count()
    }

    pub fn is_closed(&self) -> bool {
        self.closed.load(Ordering::SeqCst)
    }

    /// The owner of the key at this node.
    pub fn owner(&self, key: &str) -> Option<String> {
        let holding = self.memory.inspect(key).now_or_never().unwrap().unwrap();
        holding.map(|holding| holding.owner)
    }

    fn begin(&self, operation: &'static str) -> Manner {
        lock(&self.calls).push(operation);
        *lock(&self.manner)
    }

    /// Fails if the node is down.
    fn up(&self, operation: &'static str) -> Result<Manner, Failure> {
        let manner = self.begin(operation);
        if manner.down { Err(Failure::not_done("it is down")) } else { Ok(manner) }
    }

    async fn take(
        &self,
        key: &str,
        owner: &str,
        ttl: Duration,
        fenced: bool,
    ) -> Result<Acquired, Failure> {
        let manner = self.begin("acquire");
        let carry_out = async || match fenced {
            true => self.memory.acquire_fenced(key, owner, ttl).await,
            false => self.memory.acquire(key, owner, ttl).await,
        };
        manner.way.to().await;
        if manner.waits {
            // A lock that is taken while the caller waits is given back if the caller leaves.
            let outcome = carry_out().await?;
            let mut guard = GiveBack { node: self, key, owner, taken: is_grant(&outcome) };
            self.permits.acquire().await.unwrap().forget();
            guard.taken = false;
            return Ok(outcome);
        }
        match manner.act {
            Act::Work => {
                let outcome = carry_out().await?;
                manner.way.back().await;
                Ok(match outcome {
                    Acquired::Granted(grant) => {
                        Acquired::Granted(Grant { valid_for: manner.valid_for, ..grant })
                    }
                    Acquired::Held => Acquired::Held,
                })
            }
            Act::Refuse => Err(Failure::not_done("it is full")),
            Act::Lose { set } => {
                if set {
                    let _ = carry_out().await;
                }
                Err(Failure::unknown("connection lost", Some(SystemTime::now() + ttl)))
            }
            Act::Hang { set } => {
                let taken = set && is_grant(&carry_out().await?);
                let _guard = GiveBack { node: self, key, owner, taken };
                std::future::pending().await
            }
        }
    }
}

fn is_grant(acquired: &Acquired) -> bool {
    matches!(acquired, Acquired::Granted(_))
}

/// Gives back the lock that was taken for a caller who has left.
struct GiveBack<'a> {
    node: &'a FaultyNode,
    key: &'a str,
    owner: &'a str,
    taken: bool,
}

impl Drop for GiveBack<'_> {
    fn drop(&mut self) {
        if self.taken {
            let _ = self.node.memory.release(self.key, self.owner).now_or_never();
        }
    }
}

impl Store for FaultyNode {
    fn acquire<'a>(
        &'a self,
        key: &'a str,
        owner: &'a str,
        ttl: Duration,
    ) -> BoxFuture<'a, Result<Acquired, Failure>> {
        Box::pin(self.take(key, owner, ttl, false))
    }

    fn acquire_fenced<'a>(
        &'a self,
        key: &'a str,
        owner: &'a str,
        ttl: Duration,
    ) -> BoxFuture<'a, Result<Acquired, Failure>> {
        Box::pin(self.take(key, owner, ttl, true))
    }

    fn release<'a>(
        &'a self,
        key: &'a str,
        owner: &'a str,
    ) -> BoxFuture<'a, Result<Released, Failure>> {
        Box::pin(async move {
            let manner = self.up("release")?;
            manner.way.to().await;
            let outcome = self.memory.release(key, owner).await;
            manner.way.back().await;
            match manner.loses_releases {
                true => Err(Failure::unknown("connection lost", None)),
                false => outcome,
            }
        })
    }

    fn raise_fencing_token<'a>(
        &'a self,
        key: &'a str,
        at_least: u64,
    ) -> BoxFuture<'a, Result<(), Failure>> {
        Box::pin(async move {
            match self.up("raise")?.raises {
                true => self.memory.raise_fencing_token(key, at_least).await,
                false => Err(Failure::not_done("it cannot")),
            }
        })
    }

    fn extend<'a>(
        &'a self,
        key: &'a str,
        owner: &'a str,
        ttl: Duration,
        may_shorten: bool,
    ) -> BoxFuture<'a, Result<Extended, Failure>> {
        Box::pin(async move {
            self.up("extend")?;
            self.memory.extend(key, owner, ttl, may_shorten).await
        })
    }

    fn inspect<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Option<Holding>, Failure>> {
        Box::pin(async move {
            let manner = self.up("inspect")?;
            manner.way.to().await;
            let holding = self.memory.inspect(key).await;
            manner.way.back().await;
            holding
        })
    }

    fn list<'a>(
        &'a self,
        prefix: &'a str,
        cursor: Option<&'a str>,
        limit: u32,
    ) -> BoxFuture<'a, Result<KeyPage, Failure>> {
        Box::pin(async move {
            self.up("list")?;
            self.memory.list(prefix, cursor, limit).await
        })
    }

    fn force_release<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Option<String>, Failure>> {
        Box::pin(async move {
            self.up("force release")?;
            self.memory.force_release(key).await
        })
    }

    fn watch<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Option<Watched>> {
        Box::pin(async move {
            self.up("watch").ok()?;
            self.memory.watch(key).await
        })
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        self.closed.store(true, Ordering::SeqCst);
        Box::pin(std::future::ready(()))
    }
}

/// Nodes of these manners, and the quorum over them. Their names are `n0:1`, `n1:1` and so on.
pub fn quorum(manners: &[Manner]) -> (Vec<Arc<FaultyNode>>, QuorumStore) {
    let nodes: Vec<_> = manners.iter().map(|manner| FaultyNode::new(*manner)).collect();
    let named = nodes.iter().enumerate();
    let named = named.map(|(at, node)| Node::new(format!("n{at}:1"), node.clone()));
    let store = QuorumStore::new("s", named.collect(), QuorumSettings::new()).unwrap();
    (nodes, store)
}

/// How many nodes have the key for this owner.
pub fn count(nodes: &[Arc<FaultyNode>], key: &str, owner: &str) -> usize {
    nodes.iter().filter(|node| node.owner(key).as_deref() == Some(owner)).count()
}

/// Waits until no node has the key for this owner.
pub async fn assert_left(nodes: &[Arc<FaultyNode>], key: &str, owner: &str) {
    eventually("nothing is left", async || count(nodes, key, owner) == 0).await;
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

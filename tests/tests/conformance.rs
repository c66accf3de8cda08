//! Runs every case of `holdfast_tests::conformance` on every store that it applies to, and checks the table
//! of them in `docs/conformance.md`.

use std::{any::Any, pin::Pin, process::ExitCode, sync::Arc, time::Duration};

use holdfast::store::{
    Store,
    memory::MemoryStore,
    quorum::{Node, QuorumSettings, QuorumStore},
    redis::{RedisSettings, RedisStore},
};
use holdfast_tests::{
    conformance::{Case, Opening, Redis, Run, cases},
    durable_object::DurableObjects,
    read,
    redis_cluster::{ClusterOptions, RedisCluster},
    redis_quorum,
    redis_server::RedisServer,
    redis_store::Setting,
    sentinel_group::{SentinelGroup, SentinelOptions},
    workerd::Workerd,
};
use libtest_mimic::{Arguments, Trial};
use tokio::runtime;

#[path = "common/adapter.rs"]
#[allow(dead_code, reason = "the tests of the component use more of it")]
mod adapter;

use adapter::Adapter;

/// A column of the table.
#[derive(Clone, Copy)]
struct Kind {
    name: &'static str,
    column: &'static str,
    keeps: Keeps,
}

/// The place where a store keeps its locks.
#[derive(Clone, Copy)]
enum Keeps {
    /// No server.
    Memory(fn() -> Arc<dyn Store>),
    /// A redis-server. Opens stores of this many instances, if they have instances.
    Redis(fn(usize) -> Arc<dyn Redis>),
    /// Several redis-servers, so the cases that do something to the server do not apply. Starts them, and opens a
    /// store.
    Group(fn() -> Group),
}

/// A store, and a value that keeps its servers running.
type Group = Pin<Box<dyn Future<Output = (Arc<dyn Store>, Box<dyn Any>)>>>;

/// The name of the component among the kinds.
const COMPONENT: &str = "redis_store";

/// The name of the store in Durable Objects among the kinds.
const DURABLE_OBJECT: &str = "durable_object";

const KINDS: [Kind; 8] = [
    Kind {
        name: "memory",
        column: "in memory",
        keeps: Keeps::Memory(|| Arc::new(MemoryStore::new())),
    },
    Kind { name: "redis", column: "in Redis", keeps: Keeps::Redis(|_| Arc::new(Native)) },
    Kind {
        name: COMPONENT,
        column: "component `redis-store`",
        keeps: Keeps::Redis(|instances| Arc::new(Component { instances })),
    },
    Kind {
        name: "quorum_of_memory",
        column: "quorum in memory",
        keeps: Keeps::Memory(quorum_of_memory),
    },
    Kind {
        name: "quorum_of_redis",
        column: "quorum in Redis",
        keeps: Keeps::Group(|| Box::pin(quorum_of_redis())),
    },
    Kind { name: "sentinel", column: "Sentinel", keeps: Keeps::Group(|| Box::pin(sentinel())) },
    Kind { name: "cluster", column: "Cluster", keeps: Keeps::Group(|| Box::pin(cluster())) },
    Kind {
        name: DURABLE_OBJECT,
        column: "Durable Objects",
        keeps: Keeps::Group(|| Box::pin(durable_objects())),
    },
];

/// The library's store over three stores in memory.
fn quorum_of_memory() -> Arc<dyn Store> {
    let nodes = ["a", "b", "c"].map(|name| Node::new(name, Arc::new(MemoryStore::new())));
    let settings = QuorumSettings::new().longest_ttl(Duration::MAX);
    Arc::new(QuorumStore::new("lockstore", nodes.into(), settings).expect("a quorum"))
}

/// The library's store over three servers.
async fn quorum_of_redis() -> (Arc<dyn Store>, Box<dyn Any>) {
    let servers = [(); 3].map(|()| RedisServer::start());
    let [a, b, c] = &servers;
    let store = redis_quorum::over(&[a, b, c], Duration::MAX, None);
    (Arc::new(store), Box::new(servers))
}

/// The library's store at a master with a replica that must have each lock.
async fn sentinel() -> (Arc<dyn Store>, Box<dyn Any>) {
    let options =
        SentinelOptions { replicas: 1, sentinels: 1, quorum: 1, ..SentinelOptions::default() };
    let group = SentinelGroup::start_with(options).await;
    let settings = RedisSettings::sentinel(group.name(), group.addresses());
    // The server waits for replicas for a third of it, and a busy machine is slow.
    let settings = settings.min_replicas(1).read_timeout(Duration::from_secs(15));
    let store = RedisStore::connect("lockstore", settings).await.expect("a store");
    (Arc::new(store), Box::new(group))
}

/// The library's store in a cluster of three masters.
async fn cluster() -> (Arc<dyn Store>, Box<dyn Any>) {
    let options = ClusterOptions { replicas: 0, ..ClusterOptions::default() };
    let cluster = RedisCluster::start_with(options).await;
    let settings = RedisSettings::cluster(&cluster.addresses()[..1]);
    let store = RedisStore::connect("lockstore", settings).await.expect("a store");
    (Arc::new(store), Box::new(cluster))
}

/// The store of `examples/workers/`.
async fn durable_objects() -> (Arc<dyn Store>, Box<dyn Any>) {
    (Arc::new(DurableObjects::start().expect("a workerd that is prepared")), Box::new(()))
}

/// The library's own store in Redis.
struct Native;

impl Redis for Native {
    fn open<'a>(&'a self, settings: &'a [Setting<'a>]) -> Opening<'a> {
        Box::pin(async move {
            let settings = RedisSettings::parse(&settings.iter().copied().collect());
            let settings = settings.map_err(|error| error.to_string())?;
            let store = RedisStore::connect("lockstore", settings).await;
            Ok(Arc::new(store.map_err(|error| error.to_string())?) as Arc<dyn Store>)
        })
    }
}

/// The component `adapters/redis-store`.
struct Component {
    instances: usize,
}

impl Redis for Component {
    fn open<'a>(&'a self, settings: &'a [Setting<'a>]) -> Opening<'a> {
        Box::pin(async move {
            Ok(Arc::new(Adapter::with_settings(self.instances, settings).await) as Arc<dyn Store>)
        })
    }
}

fn applies(case: &Case, kind: Kind) -> bool {
    match (case.run, kind.keeps) {
        (Run::OnAny(_), _) | (Run::OnRedis(_), Keeps::Redis(_)) => true,
        (Run::OnLibrary(_), _) => ![COMPONENT, DURABLE_OBJECT].contains(&kind.name),
        (Run::OnRedis(_), _) => false,
    }
}

async fn run(case: Run, kind: Kind) {
    match (case, kind.keeps) {
        // One instance, so that the next call uses the connection that the case breaks.
        (Run::OnRedis(case), Keeps::Redis(redis)) => case(redis(1)).await,
        (Run::OnAny(case) | Run::OnLibrary(case), Keeps::Redis(redis)) => {
            let server = RedisServer::start();
            let address = server.address();
            let store = redis(4).open(&[("redisHost", &address)]).await.expect("a store");
            case(store).await;
        }
        (Run::OnAny(case) | Run::OnLibrary(case), Keeps::Memory(open)) => case(open()).await,
        (Run::OnAny(case) | Run::OnLibrary(case), Keeps::Group(open)) => {
            let (store, _servers) = open().await;
            case(store).await;
        }
        (Run::OnRedis(_), _) => unreachable!("the case does not apply"),
    }
}

/// The test of a case on a store, named like `memory::grant`.
fn trial(case: &Case, kind: Kind) -> Trial {
    let run = case.run;
    Trial::test(format!("{}::{}", kind.name, case.name), move || {
        let runtime =
            runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
        runtime.block_on(self::run(run, kind));
        Ok(())
    })
}

fn table() -> String {
    let mut table = String::from("| promise |");
    for kind in KINDS {
        table += &format!(" {} |", kind.column);
    }
    table += &format!("\n|---|{}\n", ":-:|".repeat(KINDS.len()));
    for case in cases() {
        table += &format!("| {} |", case.promise);
        for kind in KINDS {
            table += if applies(&case, kind) { " ✓ |" } else { " |" };
        }
        table += "\n";
    }
    table
}

fn page() -> Trial {
    Trial::test("page::table", || {
        let table = table();
        if read("docs/conformance.md").contains(&table) {
            Ok(())
        } else {
            Err(format!("docs/conformance.md lacks this table:\n{table}").into())
        }
    })
}

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let mut trials = vec![page()];
    let is_there = |kind: &Kind| kind.name != DURABLE_OBJECT || Workerd::prepared().is_some();
    let there: Vec<_> = KINDS.into_iter().filter(is_there).collect();
    for case in cases() {
        let kinds = there.iter().copied().filter(|kind| applies(&case, *kind));
        trials.extend(kinds.map(|kind| trial(&case, kind)));
    }
    libtest_mimic::run(&arguments, trials).exit_code()
}

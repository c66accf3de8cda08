//! Runs every case of `holdfast_tests::conformance` on every store that it applies to, and checks the table
//! of them in `docs/conformance.md`.

use std::{process::ExitCode, sync::Arc, time::Duration};

use holdfast::store::{
    Store,
    memory::MemoryStore,
    quorum::{Node, QuorumSettings, QuorumStore},
    redis::{RedisSettings, RedisStore},
};
use holdfast_tests::{
    conformance::{Case, Opening, Redis, Run, cases},
    read, redis_quorum,
    redis_server::RedisServer,
    redis_store::Setting,
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

/// What a store keeps its locks in.
#[derive(Clone, Copy)]
enum Keeps {
    /// No server.
    Memory(fn() -> Arc<dyn Store>),
    /// A redis-server. Opens stores of this many instances, if they have instances.
    Redis(fn(usize) -> Arc<dyn Redis>),
    /// Three redis-servers, so the cases that do something to the server do not apply.
    Quorum,
}

const KINDS: [Kind; 5] = [
    Kind {
        name: "memory",
        column: "in memory",
        keeps: Keeps::Memory(|| Arc::new(MemoryStore::new())),
    },
    Kind { name: "redis", column: "in Redis", keeps: Keeps::Redis(|_| Arc::new(Native)) },
    Kind {
        name: "redis_store",
        column: "component `redis-store`",
        keeps: Keeps::Redis(|instances| Arc::new(Component { instances })),
    },
    Kind {
        name: "quorum_of_memory",
        column: "quorum in memory",
        keeps: Keeps::Memory(quorum_of_memory),
    },
    Kind { name: "quorum_of_redis", column: "quorum in Redis", keeps: Keeps::Quorum },
];

/// The library's store over three stores in memory.
fn quorum_of_memory() -> Arc<dyn Store> {
    let nodes = ["a", "b", "c"].map(|name| Node::new(name, Arc::new(MemoryStore::new())));
    let settings = QuorumSettings::new().longest_ttl(Duration::MAX);
    Arc::new(QuorumStore::new("lockstore", nodes.into(), settings).expect("a quorum"))
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
    matches!(kind.keeps, Keeps::Redis(_)) || matches!(case.run, Run::OnAny(_))
}

async fn run(case: Run, kind: Kind) {
    match (case, kind.keeps) {
        // One instance, so that the next call uses the connection that the case breaks.
        (Run::OnRedis(case), Keeps::Redis(redis)) => case(redis(1)).await,
        (Run::OnAny(case), Keeps::Redis(redis)) => {
            let server = RedisServer::start();
            let address = server.address();
            let store = redis(4).open(&[("redisHost", &address)]).await.expect("a store");
            case(store).await;
        }
        (Run::OnAny(case), Keeps::Memory(open)) => case(open()).await,
        (Run::OnAny(case), Keeps::Quorum) => {
            let servers = [(); 3].map(|()| RedisServer::start());
            let [a, b, c] = &servers;
            case(Arc::new(redis_quorum::over(&[a, b, c], Duration::MAX, None))).await;
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
    for case in cases() {
        let kinds = KINDS.into_iter().filter(|kind| applies(&case, *kind));
        trials.extend(kinds.map(|kind| trial(&case, kind)));
    }
    libtest_mimic::run(&arguments, trials).exit_code()
}

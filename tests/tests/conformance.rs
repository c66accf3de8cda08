//! Runs every case of `holdfast_tests::conformance` on every store that it applies to, and checks the table
//! of them in `docs/conformance.md`.

use std::{process::ExitCode, sync::Arc};

use holdfast::store::{
    Store,
    memory::MemoryStore,
    redis::{RedisSettings, RedisStore},
};
use holdfast_tests::{
    conformance::{Case, Opening, Redis, Run, cases},
    read,
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
    /// Opens stores of this many instances, if they have instances. `None` for a store without a server.
    redis: Option<fn(usize) -> Arc<dyn Redis>>,
}

const KINDS: [Kind; 3] = [
    Kind { name: "memory", column: "in memory", redis: None },
    Kind { name: "redis", column: "in Redis", redis: Some(|_| Arc::new(Native)) },
    Kind {
        name: "redis_store",
        column: "component `redis-store`",
        redis: Some(|instances| Arc::new(Component { instances })),
    },
];

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
    kind.redis.is_some() || matches!(case.run, Run::OnAny(_))
}

async fn run(case: Run, kind: Kind) {
    match (case, kind.redis) {
        // One instance, so that the next call uses the connection that the case breaks.
        (Run::OnRedis(case), Some(redis)) => case(redis(1)).await,
        (Run::OnAny(case), Some(redis)) => {
            let server = RedisServer::start();
            let address = server.address();
            let store = redis(4).open(&[("redisHost", &address)]).await.expect("a store");
            case(store).await;
        }
        (Run::OnAny(case), None) => case(Arc::new(MemoryStore::new())).await,
        (Run::OnRedis(_), None) => unreachable!("the case does not apply"),
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

//! Plugins in the wasmtime of an embedder, which lends them locks over its own state.

use std::{sync::Arc, time::Duration};

use holdfast::{
    BuildError, Limits, Locks,
    embed::lock::{self, LockCtx, LockView},
    store::{
        memory::MemoryStore,
        redis::{RedisSettings, RedisStore},
    },
};
use holdfast_tests::{calls::take, redis_server::RedisServer};
use wasmtime::{
    Config, Engine, Store,
    component::{Component, Linker},
};

mod program {
    wasmtime::component::bindgen!({
        path: ["../wit", "plugin/wit"],
        world: "holdfast:test/program",
        exports: { default: async },
    });
}

/// An embedder's own state, of which the locks are a part.
struct Node {
    locks: LockCtx,
}

struct Host {
    component: Component,
    linker: Linker<Node>,
}

impl Host {
    fn new() -> Self {
        let engine = Engine::new(&Config::new()).unwrap();
        let component = Component::from_file(&engine, holdfast_tests::PLUGIN).unwrap();
        let mut linker = Linker::new(&engine);
        lock::add_to_linker(&mut linker, |node: &mut Node| LockView { ctx: &mut node.locks })
            .unwrap();
        Self { component, linker }
    }

    async fn plugin(&self, locks: &Locks) -> Plugin {
        let node = Node { locks: LockCtx::new(locks.clone()) };
        let mut store = Store::new(self.component.engine(), node);
        let program =
            program::Program::instantiate_async(&mut store, &self.component, &self.linker)
                .await
                .unwrap();
        Plugin { store, program }
    }
}

struct Plugin {
    store: Store<Node>,
    program: program::Program,
}

impl Plugin {
    async fn begin(&mut self, lock_store: &str, resource: &str, node: &str) -> String {
        self.program.call_begin(&mut self.store, lock_store, resource, node, 60).await.unwrap()
    }

    async fn end(&mut self, lock_store: &str, resource: &str, node: &str) -> String {
        self.program.call_end(&mut self.store, lock_store, resource, node).await.unwrap()
    }
}

async fn store_in(server: &RedisServer) -> Arc<RedisStore> {
    let settings = RedisSettings::parse(&[("redisHost", server.address())].into_iter().collect());
    Arc::new(RedisStore::connect("lockstore", settings.unwrap()).await.unwrap())
}

async fn one_node_at_a_time(locks: Locks) {
    let host = Host::new();
    let mut first = host.plugin(&locks).await;
    let mut second = host.plugin(&locks).await;
    assert_eq!(first.begin("lockstore", "cache", "node1").await, "mine");
    assert_eq!(second.begin("lockstore", "cache", "node2").await, "another node's");
    assert_eq!(
        second.end("lockstore", "cache", "node2").await,
        "UnlockStatus::LockBelongsToOthers"
    );
    assert_eq!(first.end("lockstore", "cache", "node1").await, "freed");
    assert_eq!(second.begin("lockstore", "cache", "node2").await, "mine");
    assert_eq!(second.end("lockstore", "cache", "node2").await, "freed");
    assert_eq!(second.end("lockstore", "cache", "node2").await, "UnlockStatus::LockDoesNotExist");
}

#[tokio::test]
async fn plugins_share_a_lock_in_memory() {
    let locks = Locks::builder()
        .app_id("edge")
        .store("lockstore", Arc::new(MemoryStore::new()))
        .build()
        .unwrap();
    one_node_at_a_time(locks).await;
}

#[tokio::test]
async fn plugins_share_a_lock_in_redis() {
    let server = RedisServer::start();
    let store = store_in(&server).await;
    let locks = Locks::builder().app_id("edge").store("lockstore", store).build().unwrap();
    one_node_at_a_time(locks.clone()).await;
    locks.close().await;
}

#[tokio::test]
async fn a_plugin_gets_errors_and_no_traps() {
    let locks = Locks::builder().store("lockstore", Arc::new(MemoryStore::new())).build().unwrap();
    let mut plugin = Host::new().plugin(&locks).await;
    let rows = [
        (
            "lockstore",
            "",
            "n",
            "Error::ResourceIdEmpty(\"ResourceId is empty in lock store lockstore\")",
        ),
        (
            "lockstore",
            "r",
            "",
            "Error::LockOwnerEmpty(\"LockOwner is empty in lock store lockstore\")",
        ),
        ("nowhere", "r", "n", "Error::StoreNotFound(\"lock store nowhere not found\")"),
        (
            "lockstore",
            "a||b",
            "n",
            "Error::ResourceIdReserved(\"failed to try acquiring lock: input key/keyPrefix 'a||b' can't contain '||'\")",
        ),
    ];
    for (store, resource, node, message) in rows {
        assert_eq!(plugin.begin(store, resource, node).await, message);
    }
}

#[tokio::test]
async fn a_scoped_handle_reaches_only_its_own_locks() {
    let locks = Locks::builder()
        .app_id("edge")
        .store("lockstore", Arc::new(MemoryStore::new()))
        .store_with_key_prefix("secret", "none", Arc::new(MemoryStore::new()))
        .build()
        .unwrap();
    let one = locks.scoped("one", &["lockstore"]).unwrap();
    let two = locks.scoped("two", &["lockstore"]).unwrap();

    assert_eq!(take(&one, "lockstore", "r", "same", 60).await, Ok(true));
    assert_eq!(take(&two, "lockstore", "r", "same", 60).await, Ok(true));
    assert_eq!(take(&locks, "lockstore", "r", "same", 60).await, Ok(true));
    assert_eq!(take(&one, "lockstore", "r", "same", 60).await, Ok(false));

    let refused = take(&one, "secret", "r", "same", 60).await.unwrap_err();
    assert_eq!(refused.to_string(), "lock store secret not found");
    let missing = locks.scoped("three", &["nowhere"]).unwrap_err();
    assert!(matches!(missing, BuildError::StoreNotFound(name) if name == "nowhere"));
}

/// Arguments that look as if they led elsewhere, and whether they name a lock all the same.
const RESOURCES: [(&str, bool); 14] = [
    ("", false),
    ("two||cache", false),
    ("||two||cache", false),
    ("lock||two||cache", false),
    ("\r\nDEL lock||two||cache\r\n", false),
    ("cache", true),
    ("|", true),
    ("../two/cache", true),
    ("/two/cache", true),
    ("two\u{2016}cache", true),
    ("two\u{ff5c}\u{ff5c}cache", true),
    ("two|\u{200b}|cache", true),
    ("\0\u{202e}*{two}?[a-z]", true),
    ("\r\nFLUSHALL\r\n", true),
];

const STORES: [&str; 10] = [
    "",
    "secret",
    "two",
    "LOCKSTORE",
    "lockstore ",
    "lockstore\0",
    "lockstore||two",
    "../secret",
    "l\u{f3}ckstore",
    "\u{ff4c}ockstore",
];

#[tokio::test]
async fn no_argument_leads_to_the_locks_of_another_plugin() {
    let server = RedisServer::start();
    let locks = Locks::builder()
        .app_id("edge")
        .store("lockstore", store_in(&server).await)
        .store("secret", store_in(&server).await)
        .build()
        .unwrap();
    let host = Host::new();
    let mut one = host.plugin(&locks.scoped("one", &["lockstore"]).unwrap()).await;
    let mut two = host.plugin(&locks.scoped("two", &["lockstore", "secret"]).unwrap()).await;
    assert_eq!(two.begin("lockstore", "cache", "same").await, "mine");
    assert_eq!(two.begin("secret", "hidden", "same").await, "mine");
    let mut of_two: Vec<String> = server.run(&["KEYS", "*"]);
    of_two.sort_unstable();
    assert_eq!(of_two, ["lock||two||cache", "lock||two||hidden"]);

    for (resource, named) in RESOURCES {
        let said = one.begin("lockstore", resource, "same").await;
        let refused = said.starts_with("Error::ResourceId");
        assert_eq!((said == "mine", refused), (named, !named), "{resource:?}: {said}");
        let key = format!("lock||one||{resource}");
        assert_eq!(server.run::<bool>(&["EXISTS", &key]), named, "{resource:?}");
    }
    for store in STORES {
        for said in
            [one.begin(store, "hidden", "same").await, one.end(store, "hidden", "same").await]
        {
            assert!(said.starts_with("Error::StoreNotFound"), "{store:?}: {said}");
        }
    }
    let keys: Vec<String> = server.run(&["KEYS", "*"]);
    let (own, others): (Vec<_>, Vec<_>) =
        keys.into_iter().partition(|key| key.starts_with("lock||one||"));
    assert_eq!(own.len(), RESOURCES.iter().filter(|(_, named)| *named).count());

    for (resource, _) in RESOURCES {
        one.end("lockstore", resource, "same").await;
    }
    let mut left: Vec<String> = server.run(&["KEYS", "*"]);
    left.sort_unstable();
    assert_eq!((others.len(), left), (2, of_two));
    locks.close().await;
}

#[test]
fn an_app_id_that_could_share_keys_with_another_is_refused() {
    let builder = || Locks::builder().store("lockstore", Arc::new(MemoryStore::new()));
    let refusals = [
        builder().app_id("one|").build().unwrap_err(),
        builder().build().unwrap().scoped("one|", &["lockstore"]).unwrap_err(),
    ];
    for refused in refusals {
        assert_eq!(
            refused.to_string(),
            "the app id one| contains |, which separates the parts of a key"
        );
    }
    assert!(builder().app_id("one").build().unwrap().scoped("two", &["lockstore"]).is_ok());
}

#[test]
fn a_name_is_given_once() {
    let store = || Arc::new(MemoryStore::new());
    let twice = Locks::builder().store("s", store()).store("s", store()).build();
    assert_eq!(twice.unwrap_err().to_string(), "lock store s was added twice");
}

#[tokio::test]
async fn limits_are_kept() {
    let mut limits = Limits::default();
    limits.step_deadline = Duration::from_millis(1);
    let refused = Locks::builder().limits(limits).build().unwrap_err();
    assert_eq!(refused.to_string(), "limit step_deadline is below 100 ms");
}

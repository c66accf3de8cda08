//! The parts of each test: a server of Redis, Holdfast, an upstream, and Envoys.

use std::time::Duration;

use holdfast_tests::{
    envoy::{Envoy, filter_with},
    eventually,
    holdfast::{Holdfast, serve},
    redis_server::RedisServer,
    resources::{self, Resources},
    upstream::Upstream,
};
use serde_json::{Value, json};

use crate::HOLDFAST;

/// How Envoy asks Holdfast.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// The external processor.
    ExtProc,
    /// The wasm filter.
    Filter,
}

/// Makes a test of each of these functions for every way.
macro_rules! every_way {
    ($($name:ident),+ $(,)?) => {
        mod ext_proc {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                super::$name($crate::envoy::edge::Way::ExtProc).await;
            })+
        }

        mod filter {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                super::$name($crate::envoy::edge::Way::Filter).await;
            })+
        }
    };
}
pub(super) use every_way;

/// A lock around each request: everything that Envoys need.
pub struct Edge {
    pub redis: RedisServer,
    pub holdfast: Holdfast,
    pub upstream: Upstream,
    way: Way,
    lock: Value,
    /// The changes in Envoy's configuration besides addresses.
    changes: Vec<(String, String)>,
    _resources: Resources,
}

/// The edge lock of a test, which differs from that of the examples in these fields.
pub fn lock(fields: Value) -> Value {
    let mut lock = json!({
        "store": "lockstore",
        "resource": "{:authority}{:path}",
        "ttl": "60s",
        "wait": "30s",
    });
    for (name, value) in fields.as_object().into_iter().flatten() {
        lock[name] = value.clone();
    }
    lock
}

/// A document of kind `EdgeLock`. JSON is YAML, too.
pub fn document(name: &str, lock: &Value) -> String {
    let metadata = json!({ "name": name });
    format!(
        "---\napiVersion: holdfast.lock/v1alpha1\nkind: EdgeLock\nmetadata: {metadata}\nspec: {lock}\n"
    )
}

impl Edge {
    /// An edge lock with these fields, in front of an upstream, and `holdfast serve` with these options.
    async fn new(way: Way, upstream: Upstream, fields: Value, options: &[&str]) -> Self {
        let (redis, lock) = (RedisServer::start(), lock(fields));
        let resources = Resources::new(&[
            ("lockstore.yaml", &resources::redis("lockstore", &redis, &[])),
            ("edge-lock.yaml", &document("reports", &lock)),
        ]);
        let mut command = serve(HOLDFAST);
        command.args(["--app-id", "edge", "--resources-path", resources.path()]).args(options);
        let holdfast = Holdfast::start_ready(command);
        Self { redis, holdfast, upstream, way, lock, changes: Vec::new(), _resources: resources }
    }

    /// An edge lock with these fields, in front of an upstream whose work takes that long.
    pub async fn working_for(way: Way, milliseconds: u64, fields: Value) -> Self {
        let upstream = Upstream::working_for(Duration::from_millis(milliseconds)).await;
        Self::new(way, upstream, fields, &[]).await
    }

    /// The same, in front of an upstream whose work ends when the test allows it.
    pub async fn held(way: Way, fields: Value) -> Self {
        Self::held_with(way, fields, &[]).await
    }

    /// The same, in front of an upstream that sends the head of a response before.
    pub async fn held_after_the_head(way: Way, fields: Value) -> Self {
        Self::new(way, Upstream::held_after_the_head().await, fields, &[]).await
    }

    /// The same, and `holdfast serve` with these options.
    pub async fn held_with(way: Way, fields: Value, options: &[&str]) -> Self {
        Self::new(way, Upstream::held().await, fields, options).await
    }

    /// Changes the configuration of later Envoys.
    #[must_use]
    pub fn change(mut self, from: &str, to: &str) -> Self {
        self.changes.push((from.to_owned(), to.to_owned()));
        self
    }

    /// An Envoy, if `cargo xtask test` prepared one.
    pub async fn envoy(&self) -> Option<Envoy> {
        let port = |address: String| format!("port_value: {}", address.rsplit(':').next().unwrap());
        let upstream =
            ("port_value: 9000".to_owned(), format!("port_value: {}", self.upstream.port));
        let (file, mut changes) = match self.way {
            Way::ExtProc => {
                let address = ("port_value: 50001".to_owned(), port(self.holdfast.grpc()));
                ("ext-proc.yaml", vec![address, upstream])
            }
            Way::Filter => {
                let address = ("port_value: 3500".to_owned(), port(self.holdfast.http()));
                let changes =
                    filter_with(&json!({ "cluster": "holdfast", "locks": [self.named()] }));
                ("filter.yaml", [&[address, upstream][..], &changes].concat())
            }
        };
        changes.extend(self.changes.iter().cloned());
        Envoy::start(file, &changes).await
    }

    /// The edge lock with its name, as the filter has it.
    fn named(&self) -> Value {
        let mut lock = self.lock.clone();
        lock["name"] = "reports".into();
        lock
    }

    /// The keys of locks that are held.
    pub fn keys(&self) -> Vec<String> {
        self.redis.run(&["KEYS", "lock||edge||*"])
    }

    /// Waits until no lock is held.
    pub async fn is_free(&self) {
        eventually("every lock is free", async || self.keys().is_empty()).await;
    }
}

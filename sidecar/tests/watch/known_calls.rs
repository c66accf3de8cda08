//! The program after calls that determine the value of every metric.

use holdfast_tests::{
    exposition::Exposition,
    grpc_client::Client,
    holdfast::Holdfast,
    http_api::{ACQUIRED, HELD, HELD_BY_OTHER, MISSING, RELEASED},
    redis_server::RedisServer,
    resources::{self, Resources},
};
use tonic::Code;

use crate::HOLDFAST;

/// A call of `redis` that fails is retried once, and then the circuit breaker opens.
const RESILIENCY: &str = "apiVersion: dapr.io/v1alpha1
kind: Resiliency
metadata:
  name: policies
spec:
  policies:
    timeouts:
      long: 60s
    retries:
      once: {policy: constant, duration: 1ms, maxRetries: 1}
    circuitBreakers:
      early: {timeout: 600s, trip: consecutiveFailures >= 2}
  targets:
    components:
      redis:
        outbound: {timeout: long, retry: once, circuitBreaker: early}
";

/// A lock that requests of a proxy take.
pub const EDGE_LOCK: &str = r#"apiVersion: holdfast.lock/v1alpha1
kind: EdgeLock
metadata:
  name: reports
spec: {store: memory, resource: "{:path}", ttl: 60s}
"#;

/// The program with the stores `redis` and `memory`, and with `absent`, which cannot be opened.
pub struct Watched {
    pub holdfast: Holdfast,
    pub redis: RedisServer,
    _resources: Resources,
}

impl Watched {
    pub fn start() -> Self {
        let redis = RedisServer::start();
        let definitions = resources::redis("redis", &redis, &[])
            + &resources::in_memory("memory")
            + &resources::definition("absent", "lock.etcd", &[])
            + "  ignoreErrors: true\n---\n"
            + RESILIENCY
            + "---\n"
            + EDGE_LOCK;
        let resources = Resources::new(&[("stores.yaml", &definitions)]);
        let arguments = ["--app-id", "app1", "--resources-path", resources.path()];
        let holdfast = Holdfast::serve(HOLDFAST, &arguments);
        Self { holdfast, redis, _resources: resources }
    }

    pub async fn scrape(&self) -> Exposition {
        Exposition::parse(&self.holdfast.scrape().await)
    }

    /// Makes calls over HTTP and gRPC that are answered, and others that are refused.
    pub async fn make_calls(&self) {
        let holdfast = &self.holdfast;
        for store in ["redis", "memory"] {
            assert_eq!(holdfast.try_lock(store, "r", "o", 60).await, ACQUIRED);
            assert_eq!(holdfast.try_lock(store, "r", "p", 60).await, HELD);
            assert_eq!(holdfast.unlock(store, "r", "p").await, HELD_BY_OTHER);
            assert_eq!(holdfast.unlock(store, "r", "o").await, RELEASED);
            assert_eq!(holdfast.unlock(store, "r", "o").await, MISSING);
        }
        for (path, status) in [
            ("/v1.0-alpha1/lock/redis", 400),
            ("/v1.0-alpha1/lock/made-up-1", 400),
            ("/v1.0-alpha1/unlock/made-up-2", 400),
            ("/made/up/3", 404),
        ] {
            assert_eq!(holdfast.post(path, "{}").await.0, status, "{path}");
        }

        let mut client = Client::new(holdfast.grpc().parse().unwrap()).await;
        assert!(client.try_lock("redis", "s", "o", 60).await.unwrap());
        assert!(!client.try_lock("redis", "s", "p", 60).await.unwrap());
        let refused = client.try_lock("made-up-4", "s", "o", 60).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument);
        let status = client.unlock("redis", "s", "o").await.unwrap();
        assert_eq!(status as i32, 0);
    }
}

/// The metrics of a program with a quorum of three servers once it has taken a lock.
pub async fn scrape_of_a_quorum() -> Exposition {
    let lasting = ["--appendonly", "yes", "--appendfsync", "always"];
    let servers = [(); 3].map(|()| RedisServer::start_with(&lasting));
    let hosts = servers.each_ref().map(RedisServer::address).join(",");
    let settings = [("redisHost", hosts.as_str()), ("redisType", "quorum")];
    let definition = resources::definition("quorum", "lock.redis", &settings);
    let resources = Resources::new(&[("stores.yaml", &definition)]);
    let holdfast = Holdfast::serve(HOLDFAST, &["--resources-path", resources.path()]);
    assert_eq!(holdfast.try_lock("quorum", "r", "o", 60).await, ACQUIRED);
    Exposition::parse(&holdfast.scrape().await)
}

//! The binary, watched while it gets calls of which each metric's value follows.

use std::{fs, path::Path};

use holdfast_tests::{
    exposition::Exposition,
    holdfast::Holdfast,
    redis_server::{RedisServer, temporary_dir},
};
use tempfile::TempDir;
use tonic::Code;

use super::grpc::Client;

/// A failing call of `redis` is tried again once, and then no more are made.
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

/// The binary with the stores `redis` and `memory`, and one that could not be opened.
pub struct Watched {
    pub holdfast: Holdfast,
    pub redis: RedisServer,
    _resources: TempDir,
}

impl Watched {
    pub fn start() -> Self {
        let redis = RedisServer::start();
        let component = |name: &str, kind: &str, more: &str| {
            format!(
                "apiVersion: dapr.io/v1alpha1\nkind: Component\nmetadata:\n  name: {name}\n\
                 spec:\n  type: {kind}\n  version: v1\n{more}---\n"
            )
        };
        let host = format!("  metadata:\n  - name: redisHost\n    value: {}\n", redis.address());
        let file = component("redis", "lock.redis", &host)
            + &component("memory", "lock.in-memory", "")
            + &component("absent", "lock.etcd", "  ignoreErrors: true\n")
            + RESILIENCY;
        let resources = temporary_dir();
        fs::write(resources.path().join("stores.yaml"), file).unwrap();
        let folder = resources.path().to_str().unwrap();
        let binary = Path::new(env!("CARGO_BIN_EXE_holdfast"));
        let arguments = ["--app-id", "app1", "--resources-path", folder];
        let holdfast = Holdfast::serve(binary, &arguments);
        Self { holdfast, redis, _resources: resources }
    }

    pub async fn scrape(&self) -> Exposition {
        Exposition::parse(&self.holdfast.scrape().await)
    }

    /// Over HTTP and over gRPC, what is answered and what is refused.
    pub async fn call(&self) {
        let holdfast = &self.holdfast;
        for store in ["redis", "memory"] {
            assert_eq!(holdfast.try_lock(store, "r", "o", 60).await, r#"{"success":true}"#);
            assert_eq!(holdfast.try_lock(store, "r", "p", 60).await, r#"{"success":false}"#);
            assert_eq!(holdfast.unlock(store, "r", "p").await, r#"{"status":2}"#);
            assert_eq!(holdfast.unlock(store, "r", "o").await, r#"{"status":0}"#);
            assert_eq!(holdfast.unlock(store, "r", "o").await, r#"{"status":1}"#);
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

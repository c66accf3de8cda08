//! The store of `examples/workers/`, whose locks are in Durable Objects, as a [`Store`].

use std::{net::SocketAddr, time::Duration};

use futures_util::future::BoxFuture;
use holdfast::store::{Acquired, Extended, Failure, Grant, Holding, Released, Store};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{http_client::post, temporary_dir, workerd::Workerd};

/// The store behind the door of `tests/workers/`, and the workerd that serves it.
pub struct DurableObjects {
    workerd: Workerd,
    _locks: TempDir,
}

/// The calls that have arrived in the Durable Object of a key.
#[derive(Debug, PartialEq, Eq)]
pub struct Arrived {
    /// How many calls asked for the lock.
    pub acquires: u64,
    /// How many callers left.
    pub leaves: u64,
}

impl DurableObjects {
    /// Starts workerd. `None` where it is not prepared.
    pub fn start() -> Option<Self> {
        let locks = temporary_dir();
        let workerd = Workerd::start_door(Workerd::prepared()?, locks.path());
        Some(Self { workerd, _locks: locks })
    }

    /// Where workerd listens.
    pub fn address(&self) -> SocketAddr {
        self.workerd.address()
    }

    /// The calls that have arrived in the object of a key.
    ///
    /// # Panics
    ///
    /// When the door gives no answer.
    pub async fn arrived(&self, key: &str) -> Arrived {
        let arrived = self.asked("arrived", &json!({ "key": key })).await.expect("an answer");
        let count = |name: &str| arrived[name].as_u64().expect("a number");
        Arrived { acquires: count("acquires"), leaves: count("leaves") }
    }

    /// Whether the object of a key keeps anything.
    ///
    /// # Panics
    ///
    /// When the door gives no answer.
    pub async fn keeps_anything(&self, key: &str) -> bool {
        let stored = self.asked("stored", &json!({ "key": key })).await.expect("an answer");
        stored["keys"] != 0 || stored["alarm"] != Value::Null
    }

    async fn asked(&self, command: &str, arguments: &Value) -> Result<Value, Failure> {
        let response = post(self.address(), &format!("/{command}"), arguments.to_string()).await;
        assert_eq!(response.status, 200, "{command}: {}", response.body);
        let mut answer: Value = serde_json::from_str(&response.body).expect("JSON");
        match answer["failure"].take() {
            Value::Null => Ok(answer["outcome"].take()),
            failure => Err(Failure::NotDone(failure.to_string())),
        }
    }

    async fn take(
        &self,
        key: &str,
        owner: &str,
        ttl: Duration,
        fenced: bool,
    ) -> Result<Acquired, Failure> {
        let outcome = self.asked("acquire", &acquire(key, owner, ttl, fenced)).await?;
        Ok(match outcome {
            Value::Null => Acquired::Held,
            lease => Acquired::Granted(Grant {
                fencing_token: lease["fencingToken"].as_u64(),
                valid_for: lease["validFor"].as_u64(),
            }),
        })
    }
}

/// The door's arguments for one try to take a lock.
fn acquire(key: &str, owner: &str, ttl: Duration, fenced: bool) -> Value {
    let ttl = milliseconds(ttl);
    json!({ "key": key, "owner": owner, "ttl": ttl, "wait": 0, "fenced": fenced })
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).expect("a time to live")
}

impl Store for DurableObjects {
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
            let outcome = self.asked("release", &json!({ "key": key, "owner": owner })).await?;
            Ok(match outcome.as_str() {
                Some("released") => Released::Released,
                Some("missing") => Released::Missing,
                Some("held-by-other") => Released::HeldByOther,
                _ => panic!("{outcome}"),
            })
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
            let command = json!({
                "key": key, "owner": owner, "ttl": milliseconds(ttl), "mayShorten": may_shorten
            });
            let outcome = self.asked("extend", &command).await?;
            Ok(match (outcome["tag"].as_str(), outcome["val"].as_u64()) {
                (Some("extended"), Some(valid_for)) => Extended::Extended(valid_for),
                (Some("gone"), _) => Extended::Gone,
                (Some("held-by-other"), _) => Extended::HeldByOther,
                _ => panic!("{outcome}"),
            })
        })
    }

    fn inspect<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Option<Holding>, Failure>> {
        Box::pin(async move {
            let outcome = self.asked("inspect", &json!({ "key": key })).await?;
            Ok(outcome["owner"].as_str().map(|owner| Holding {
                owner: owner.to_owned(),
                time_left: outcome["timeLeft"].as_u64(),
                fencing_token: outcome["fencingToken"].as_u64(),
            }))
        })
    }
}

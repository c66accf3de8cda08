//! The lock's rules without a component: the same functions, compiled natively, on either store.

use std::{
    future::Future,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use anyhow::{Result, bail};
use holdfast::store::{self, Store, memory::MemoryStore};
use holdfast_redis_rules::release::RELEASE_LUA;
use holdfast_rules::{
    json,
    scope::Scope,
    steps, try_lock,
    types::{
        Acquired, Answer, Begun, Error, Failure, Form, Grant, Outcome, Released, Reply, StoreInfo,
        UnlockStatus, Verb,
    },
    unlock,
};
use redis::{AsyncConnectionConfig, Client, Script, Value, aio::MultiplexedConnection};

use crate::workload::{APP_ID, STORE_NAME};

/// The store that the rules need.
pub trait Backend: Send + Sync + 'static {
    /// Sets `key` to `owner` for `ttl` unless it is set.
    fn acquire(
        &self,
        key: &str,
        owner: &str,
        ttl: Duration,
    ) -> impl Future<Output = Result<Acquired, Failure>> + Send;

    /// Deletes `key` if its value is `owner`.
    fn release(
        &self,
        key: &str,
        owner: &str,
    ) -> impl Future<Output = Result<Released, Failure>> + Send;
}

/// The rules on a store.
pub struct Native<B> {
    scope: Scope,
    store: B,
}

impl<B: Backend> Native<B> {
    /// Rules with the store name and keys of all contestants.
    pub fn new(store: B) -> Result<Self> {
        let info =
            StoreInfo { name: STORE_NAME.to_owned(), key_prefix: None, app_id: APP_ID.to_owned() };
        match Scope::new(&[info]) {
            Ok(scope) => Ok(Self { scope, store }),
            Err(problem) => bail!(problem),
        }
    }

    /// Tries to take a lock, with typed arguments.
    pub async fn try_lock(
        &self,
        store_name: &str,
        resource_id: &str,
        lock_owner: &str,
        ttl: u64,
    ) -> Result<bool, Error> {
        let step = {
            let has_owner = !lock_owner.is_empty();
            try_lock::begin(self.scope.named(store_name), resource_id, has_owner, ttl)?
        };
        let ttl = Duration::from_millis(step.ttl);
        let acquired = self.store.acquire(&step.key, lock_owner, ttl).await;
        acquired.map(try_lock::end).map_err(|failure| Error::of_failure(Verb::TryLock, failure))
    }

    /// Releases a lock, with typed arguments.
    pub async fn unlock(
        &self,
        store_name: &str,
        resource_id: &str,
        lock_owner: &str,
    ) -> Result<UnlockStatus, Error> {
        let step = {
            let has_owner = !lock_owner.is_empty();
            unlock::begin(self.scope.named(store_name), resource_id, has_owner)?
        };
        let released = self.store.release(&step.key, lock_owner).await;
        released.map(unlock::end).map_err(|failure| Error::of_failure(Verb::Unlock, failure))
    }

    /// A call in the wire form.
    pub async fn json(&self, verb: Verb, store_name: &str, body: &[u8]) -> Reply {
        let outcome = match json::begin(self.scope.named(store_name), verb, body) {
            Begun::Acquire(step) => {
                let (owner, ttl) =
                    (step.owner.unwrap_or_default(), Duration::from_millis(step.ttl));
                let acquired = self.store.acquire(&step.key, &owner, ttl).await;
                acquired.map_or_else(Outcome::Failed, Outcome::Acquired)
            }
            Begun::Release(step) => {
                let owner = step.owner.unwrap_or_default();
                let released = self.store.release(&step.key, &owner).await;
                released.map_or_else(Outcome::Failed, Outcome::Released)
            }
            Begun::Answered(answer) => return reply(answer),
            begun => unreachable!("not asked for: {begun:?}"),
        };
        reply(steps::end(verb, Form::Json, outcome))
    }
}

fn reply(answer: Answer) -> Reply {
    match answer {
        Answer::Json(answer) => answer.reply,
        answer => unreachable!("asked in JSON form: {answer:?}"),
    }
}

impl Backend for Arc<MemoryStore> {
    async fn acquire(&self, key: &str, owner: &str, ttl: Duration) -> Result<Acquired, Failure> {
        match Store::acquire(&**self, key, owner, ttl).await {
            Ok(store::Acquired::Granted(grant)) => Ok(Acquired::Granted(Grant {
                fencing_token: grant.fencing_token,
                valid_for: grant.valid_for,
            })),
            Ok(store::Acquired::Held) => Ok(Acquired::Held),
            Err(failure) => Err(Failure::NotDone(failure.to_string())),
        }
    }

    async fn release(&self, key: &str, owner: &str) -> Result<Released, Failure> {
        match Store::release(&**self, key, owner).await {
            Ok(store::Released::Released) => Ok(Released::Released),
            Ok(store::Released::Missing) => Ok(Released::Missing),
            Ok(store::Released::HeldByOther) => Ok(Released::HeldByOther),
            Err(failure) => Err(Failure::NotDone(failure.to_string())),
        }
    }
}

/// The two Redis commands of a lock, sent by the bare client over one connection.
#[derive(Clone)]
pub struct BareRedis {
    connection: MultiplexedConnection,
    release: Arc<Script>,
}

impl BareRedis {
    /// Connects, and loads the script that releases a lock.
    pub async fn connect(address: &str, nodelay: bool) -> Result<Self> {
        let client = Client::open(format!("redis://{address}/"))?;
        let info = client.get_connection_info().clone();
        let tcp = info.tcp_settings().clone().set_nodelay(nodelay);
        let client = Client::open(info.set_tcp_settings(tcp))?;
        // As in Holdfast's store, which does not use the client's timeout.
        let config = AsyncConnectionConfig::new().set_response_timeout(None);
        let mut connection = client.get_multiplexed_async_connection_with_config(&config).await?;
        let release = Script::new(RELEASE_LUA);
        release.load_async(&mut connection).await?;
        Ok(Self { connection, release: Arc::new(release) })
    }

    /// `SET key owner NX PX milliseconds`: whether the key was free.
    pub async fn set(&self, key: &str, owner: &str, milliseconds: u64) -> Result<bool> {
        let mut set = redis::cmd("SET");
        set.arg(key).arg(owner).arg("NX").arg("PX").arg(milliseconds);
        match self.connection.clone().send_packed_command(&set).await? {
            Value::Okay => Ok(true),
            Value::Nil => Ok(false),
            other => bail!("SET answered {other:?}"),
        }
    }

    /// `EVALSHA` of the script: 1 if the key had this owner.
    pub async fn compare_and_delete(&self, key: &str, owner: &str) -> Result<i64> {
        let mut eval = redis::cmd("EVALSHA");
        eval.arg(self.release.get_hash()).arg(1).arg(key).arg(owner);
        match self.connection.clone().send_packed_command(&eval).await? {
            Value::Int(outcome) => Ok(outcome),
            other => bail!("EVALSHA answered {other:?}"),
        }
    }

    /// [`set`](Self::set) with an expiry by the clock, and `TIME`, in one batch. This process and the server
    /// have the same clock here.
    pub async fn set_and_read_clock(&self, key: &str, owner: &str, ttl: Duration) -> Result<bool> {
        let expiry = (SystemTime::now() + ttl).duration_since(UNIX_EPOCH)?.as_millis();
        let expiry = u64::try_from(expiry)?;
        let mut batch = redis::pipe();
        batch.cmd("SET").arg(key).arg(owner).arg("NX").arg("PXAT").arg(expiry).cmd("TIME");
        let replies = self.connection.clone().send_packed_commands(&batch, 0, 2).await?;
        match replies.as_slice() {
            [Value::Okay, Value::Array(_)] => Ok(true),
            [Value::Nil, Value::Array(_)] => Ok(false),
            other => bail!("SET and TIME answered {other:?}"),
        }
    }
}

impl Backend for BareRedis {
    async fn acquire(&self, key: &str, owner: &str, ttl: Duration) -> Result<Acquired, Failure> {
        let milliseconds = u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX);
        match self.set(key, owner, milliseconds).await {
            Ok(true) => Ok(Acquired::Granted(Grant { fencing_token: None, valid_for: None })),
            Ok(false) => Ok(Acquired::Held),
            Err(error) => Err(Failure::NotDone(error.to_string())),
        }
    }

    async fn release(&self, key: &str, owner: &str) -> Result<Released, Failure> {
        match self.compare_and_delete(key, owner).await {
            Ok(1) => Ok(Released::Released),
            Ok(-1) => Ok(Released::Missing),
            Ok(_) => Ok(Released::HeldByOther),
            Err(error) => Err(Failure::NotDone(error.to_string())),
        }
    }
}

//! `holdfast-lock-redis.wasm`, called by a host that knows only the interface `lock`.

use holdfast::{LockError as Error, UnlockStatus};
use holdfast_tests::{
    free_port,
    redis_proxy::{Program, RedisProxy},
    redis_server::RedisServer,
};
use wasmtime::Store;

use self::locker::Locker;
use crate::runtime::{Grants, LOCK_REDIS, State};

mod locker {
    wasmtime::component::bindgen!({
        path: "../wit",
        inline: "
            package holdfast:test;

            world locker {
                export holdfast:lock/lock@0.1.0;
            }
        ",
        exports: { default: async },
        with: { "holdfast:lock/types": ::holdfast::types },
    });
}

struct Instance {
    store: Store<State>,
    locker: Locker,
}

impl Instance {
    async fn new(grants: &Grants) -> Self {
        let mut store = grants.store();
        let instance = LOCK_REDIS.pre().instantiate_async(&mut store).await.unwrap();
        let locker = Locker::new(&mut store, &instance).unwrap();
        Self { store, locker }
    }

    async fn try_lock(&mut self, resource: &str, owner: &str) -> Result<bool, Error> {
        let lock = self.locker.holdfast_lock_lock();
        lock.call_try_lock(&mut self.store, "lockstore", resource, owner, 60).await.unwrap()
    }

    async fn unlock(&mut self, resource: &str, owner: &str) -> Result<UnlockStatus, Error> {
        let lock = self.locker.holdfast_lock_lock();
        lock.call_unlock(&mut self.store, "lockstore", resource, owner).await.unwrap()
    }
}

/// The message of a store that did not do a call.
fn not_done<T: std::fmt::Debug>(outcome: Result<T, Error>) -> String {
    match outcome {
        Err(Error::StoreFailed(message)) => message,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_proxy_may_stand_before_redis() {
    let server = RedisServer::start();
    for program in [Program::Envoy, Program::Twemproxy] {
        let Some(proxy) = RedisProxy::start(program, &server, "") else { continue };
        let grants = Grants::to(&proxy.address());
        let (mut one, mut two) = (Instance::new(&grants).await, Instance::new(&grants).await);
        assert_eq!(one.try_lock("r", "one").await, Ok(true), "{program:?}");
        assert_eq!(two.try_lock("r", "two").await, Ok(false), "{program:?}");
        let others = UnlockStatus::LockBelongsToOthers;
        assert_eq!(two.unlock("r", "two").await, Ok(others), "{program:?}");
        assert_eq!(one.unlock("r", "one").await, Ok(UnlockStatus::Success), "{program:?}");
        assert_eq!(server.run::<i64>(&["DBSIZE"]), 0, "{program:?}");
    }
}

#[tokio::test]
async fn instances_share_a_lock() {
    let server = RedisServer::start();
    let grants = Grants::of(&server).with("APP_ID", "edge");
    let (mut one, mut two) = (Instance::new(&grants).await, Instance::new(&grants).await);
    assert!(one.try_lock("r", "a").await.unwrap());
    assert!(!two.try_lock("r", "b").await.unwrap());
    assert!(!one.try_lock("r", "a").await.unwrap());
    assert_eq!(server.run::<String>(&["GET", "lock||edge||r"]), "a");
    assert_eq!(two.unlock("r", "b").await.unwrap(), UnlockStatus::LockBelongsToOthers);
    assert_eq!(one.unlock("r", "a").await.unwrap(), UnlockStatus::Success);
    assert_eq!(two.unlock("r", "b").await.unwrap(), UnlockStatus::LockDoesNotExist);
}

#[tokio::test]
async fn without_the_network_the_error_names_the_missing_grant() {
    let server = RedisServer::start();
    let mut grants = Grants::of(&server);
    grants.network = false;
    let mut instance = Instance::new(&grants).await;
    for message in
        [not_done(instance.try_lock("r", "o").await), not_done(instance.unlock("r", "o").await)]
    {
        assert!(message.contains("inherit-network"), "{message}");
    }
}

#[tokio::test]
async fn without_redis_a_call_is_not_done() {
    let address = format!("127.0.0.1:{}", free_port());
    let mut instance = Instance::new(&Grants::to(&address)).await;
    let message = not_done(instance.try_lock("r", "o").await);
    assert!(message.contains(&address), "{message}");
}
